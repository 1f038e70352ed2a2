/** The streams that a peer opens: none before it has signed in, and none of them lost afterwards. */

import { TunnelError } from "../errors.ts";
import type { Session, Stream } from "../transport.ts";

/** Watches a session from its beginning; it owns `session.incoming`. */
export class EarlyStreams {
  /** Rejects when a stream comes before {@linkcode EarlyStreams.allow}. */
  readonly violated: Promise<never>;
  readonly #incoming: AsyncIterator<Stream>;
  #next: Promise<IteratorResult<Stream>>;
  #isAllowed = false;
  #isViolated = false;

  constructor(session: Session) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.violated = promise;
    promise.catch(() => {}); // Met by whoever still signs the peer in.
    this.#incoming = session.incoming;
    this.#next = this.#incoming.next();
    this.#next.then(({ done }) => {
      if (done || this.#isAllowed) return;
      this.#isViolated = true;
      const state = "it opened a stream before it had signed in";
      reject(new TunnelError("protocol", { action: "sign in", state }));
    }, ignore); // The session was lost, as it says itself.
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
   * `take`, which must not throw.
   */
  forEach(take: (stream: Stream) => void): void {
    // Not a loop that waits, which is memory where thousands of devices open nothing.
    this.#next.then(({ value, done }) => {
      if (done) return;
      take(value);
      this.#next = this.#incoming.next();
      this.forEach(take);
    }, ignore); // The session was lost, as it says itself.
  }
}

function ignore(): void {}
