/** The streams that a peer opens: none before it has signed in, and none of them lost afterwards. */

import { TunnelError } from "../errors.ts";
import type { Session, Stream } from "../transport.ts";

/**
 * Watches a session from its beginning; it owns `session.incoming`. No loop waits in it, and nothing
 * is kept for a sign-in that is over: thousands of devices have one each and open nothing.
 */
export class EarlyStreams {
  readonly #incoming: AsyncIterator<Stream>;
  #violation: PromiseWithResolvers<never> | undefined = Promise.withResolvers();
  #isViolated = false;
  /** One that came before anybody asked. */
  #first: Stream | undefined;
  #take: ((stream: Stream) => void) | undefined;

  constructor(session: Session) {
    this.#incoming = session.incoming;
    this.#violation!.promise.catch(ignore); // Met by whoever still signs the peer in.
    this.#wait();
  }

  /** Rejects when a stream comes before {@linkcode EarlyStreams.allow}; ask for it before that. */
  get violated(): Promise<never> {
    return this.#violation!.promise;
  }

  get isViolated(): boolean {
    return this.#isViolated;
  }

  /** From now on the peer may open streams. */
  allow(): void {
    this.#violation = undefined;
  }

  /**
   * Hands over what the peer has opened and opens, until the session ends. It does not wait for
   * `take`, which must not throw.
   */
  forEach(take: (stream: Stream) => void): void {
    this.#take = take;
    if (this.#first) this.#hand(this.#first);
  }

  #wait(): void {
    // When the session was lost it says so itself.
    this.#incoming.next().then(({ value, done }) => done || this.#arrived(value), ignore);
  }

  #arrived(stream: Stream): void {
    if (this.#violation) {
      this.#isViolated = true;
      const state = "it opened a stream before it had signed in";
      this.#violation.reject(new TunnelError("protocol", { action: "sign in", state }));
    } else if (this.#take) {
      this.#hand(stream);
    } else {
      this.#first = stream;
    }
  }

  #hand(stream: Stream): void {
    this.#first = undefined;
    this.#take!(stream);
    this.#wait();
  }
}

function ignore(): void {}
