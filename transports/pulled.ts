/** Streams that a peer opens on a connection, which the platform gives one by one. */

import type { CloseInfo, Stream } from "../core/transport.ts";

/**
 * A session's `incoming`, of what the platform has for it. No web stream around that one, and no
 * function that waits in it: a relay has one of them for each of thousands of idle devices.
 */
export class Pulled implements AsyncIterableIterator<Stream> {
  readonly #reader: ReadableStreamDefaultReader<Stream>;
  readonly #closed: Promise<CloseInfo>;

  constructor(streams: ReadableStream<Stream>, closed: Promise<CloseInfo>) {
    this.#reader = streams.getReader();
    this.#closed = closed;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends in order or with an error as the session does: why there are no more is what that says. */
  next(): Promise<IteratorResult<Stream>> {
    const next = this.#reader.read() as Promise<IteratorResult<Stream>>;
    return next.catch(() => this.#closed.then(() => ({ value: undefined, done: true })));
  }
}
