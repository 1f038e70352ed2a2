/** Streams that a peer opened, held until they are asked for. */

import type { TunnelError } from "./errors.ts";
import type { Stream } from "./transport.ts";

/**
 * A session's `incoming` where streams come by themselves. Whoever fills it bounds how many wait in it.
 * It is no web stream: thousands of idle sessions would have one each.
 */
export class Arrivals implements AsyncIterableIterator<Stream> {
  readonly #queue: Stream[] = [];
  #waiter: Waiter | undefined;
  /** Calls behind the one that waits: seldom any, and nothing is held for them until then. */
  #others: Waiter[] | undefined;
  #isOver = false;
  #isRefusing = false;
  #error: TunnelError | undefined;

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next one, in the order of the calls. */
  next(): Promise<IteratorResult<Stream>> {
    const stream = this.#queue.shift();
    if (stream) return Promise.resolve({ value: stream, done: false });
    if (this.#error) return Promise.reject(this.#error);
    if (this.#isOver) return Promise.resolve(END);
    const waiter: Waiter = Promise.withResolvers();
    if (this.#waiter) (this.#others ??= []).push(waiter);
    else this.#waiter = waiter;
    return waiter.promise;
  }

  /** Refuses those that wait and those that come. */
  return(): Promise<IteratorResult<Stream>> {
    this.#isRefusing = true;
    for (const stream of this.#queue.splice(0)) refuseStream(stream);
    this.end();
    return Promise.resolve(END);
  }

  /** One has come. */
  push(stream: Stream): void {
    const waiter = this.#waiter;
    if (this.#isRefusing) return refuseStream(stream);
    if (!waiter) return void this.#queue.push(stream);
    this.#waiter = this.#others?.shift();
    waiter.resolve({ value: stream, done: false });
  }

  /** No more come: in order, or for this error. The first call counts. */
  end(error?: TunnelError): void {
    this.#queue.length = 0;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    const waiters = this.#waiter ? [this.#waiter, ...this.#others ?? []] : [];
    this.#waiter = this.#others = undefined;
    for (const waiter of waiters) {
      if (error) waiter.reject(error);
      else waiter.resolve(END);
    }
  }
}

type Waiter = PromiseWithResolvers<IteratorResult<Stream>>;

const END: IteratorReturnResult<undefined> = { value: undefined, done: true };

/** Has the peer know that nobody takes it. */
export function refuseStream(stream: Stream): void {
  // Both fail only when the stream is over, and then it needs no refusal.
  stream.writable.abort().catch(() => {});
  stream.readable.cancel().catch(() => {});
}
