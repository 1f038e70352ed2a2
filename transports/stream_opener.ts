/** Streams of a QUIC connection, opened one after the other for whoever has waited longest. */

import { untilAborted } from "../core/deadline.ts";
import { toTunnelError } from "../core/errors.ts";
import type { Stream } from "../core/transport.ts";

export class StreamOpener {
  readonly #create: () => Promise<Stream>;
  /** None at rest: a relay has an opener for each of thousands of idle devices. */
  #waiters: Set<PromiseWithResolvers<Stream>> | undefined;
  #opening = false;
  #spare?: Stream;

  /** @param create opens one, as soon as the peer's limit lets it */
  constructor(create: () => Promise<Stream>) {
    this.#create = create;
  }

  /** @throws {TunnelError} `aborted`, or `reset` when there is no more to be had */
  async open(signal?: AbortSignal): Promise<Stream> {
    const waiter = Promise.withResolvers<Stream>();
    (this.#waiters ??= new Set()).add(waiter);
    this.#open();
    try {
      return await untilAborted(waiter.promise, signal, "open a stream");
    } catch (cause) {
      // Granted and cancelled at once: the stream goes to the next in line.
      if (!this.#forget(waiter)) waiter.promise.then((stream) => this.#hand(stream), () => {});
      throw toTunnelError(cause, "open a stream", "reset");
    }
  }

  /**
   * Keeps one request for a stream under way while somebody waits. A stream cannot be given back
   * unseen by the peer, so one that nobody waits for any more is kept for the next.
   */
  #open(): void {
    if (this.#opening || !this.#waiters) return;
    if (this.#spare) return this.#hand(this.#spare);
    this.#opening = true;
    Promise.resolve().then(this.#create).then(
      (stream) => {
        this.#opening = false;
        this.#hand(stream);
      },
      (error) => {
        this.#opening = false;
        const waiters = this.#waiters;
        this.#waiters = undefined;
        waiters?.forEach((waiter) => waiter.reject(error));
      },
    );
  }

  #hand(stream: Stream): void {
    const [waiter] = this.#waiters ?? [];
    this.#spare = waiter ? undefined : stream;
    if (!waiter) return;
    this.#forget(waiter);
    waiter.resolve(stream);
    this.#open();
  }

  /** False when it waits no more. */
  #forget(waiter: PromiseWithResolvers<Stream>): boolean {
    const waited = this.#waiters?.delete(waiter) ?? false;
    if (this.#waiters?.size === 0) this.#waiters = undefined;
    return waited;
  }
}
