/** The streams that a peer opens: none before it has signed in, and none of them lost afterwards. */

import { TunnelError } from "../errors.ts";
import type { Session, Stream } from "../transport.ts";

/** Watches a session from its beginning; it owns `session.incoming`. */
export class EarlyStreams {
  /** Rejects when a stream comes before {@linkcode EarlyStreams.allow}. */
  readonly violated: Promise<never>;
  readonly #reader: ReadableStreamDefaultReader<Stream>;
  #next: Promise<ReadableStreamReadResult<Stream>>;
  #isAllowed = false;
  #isViolated = false;

  constructor(session: Session) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.violated = promise;
    promise.catch(() => {}); // Met by whoever still signs the peer in.
    this.#reader = session.incoming.getReader();
    this.#next = this.#reader.read();
    this.#next.then(({ done }) => {
      if (done || this.#isAllowed) return;
      this.#isViolated = true;
      const state = "it opened a stream before it had signed in";
      reject(new TunnelError("protocol", { action: "sign in", state }));
    }, () => {}); // The session was lost, as it says itself.
  }

  get isViolated(): boolean {
    return this.#isViolated;
  }

  /** From now on the peer may open streams. */
  allow(): void {
    this.#isAllowed = true;
  }

  /**
   * Hands over what the peer has opened and opens, until the session ends. It does not wait for
   * `take`, which must not throw. Rejects when the session was lost.
   */
  async forEach(take: (stream: Stream) => void): Promise<void> {
    for (;;) {
      const { value, done } = await this.#next;
      if (done) return;
      take(value);
      this.#next = this.#reader.read();
    }
  }
}
