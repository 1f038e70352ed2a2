/** Streams that a peer opens on a connection, which the platform gives one by one. */

import type { CloseInfo, Stream } from "../core/transport.ts";

/**
 * A session's `incoming`, of what the platform has for it. No web stream around that one, and no
 * function that waits in it: a relay has one of them for each of thousands of idle devices.
 */
export class Pulled<T extends Stream = Stream> implements AsyncIterableIterator<Stream> {
  readonly #reader: ReadableStreamDefaultReader<T>;
  readonly #closed: Promise<CloseInfo>;
  readonly #wrap: (stream: T) => Stream;

  /** @param wrap makes of the platform's what the session gives; by default the same */
  constructor(
    streams: ReadableStream<T>,
    closed: Promise<CloseInfo>,
    wrap: (stream: T) => Stream = same,
  ) {
    this.#reader = streams.getReader();
    this.#closed = closed;
    this.#wrap = wrap;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends in order or with an error as the session does: why there are no more is what that says. */
  next(): Promise<IteratorResult<Stream>> {
    const wrap = this.#wrap;
    return this.#reader.read().then(
      ({ value, done }) => done ? { value: undefined, done } : { value: wrap(value), done },
      () => this.#closed.then(() => ({ value: undefined, done: true })),
    );
  }
}

function same(stream: Stream): Stream {
  return stream;
}
