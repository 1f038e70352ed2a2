/** Dials that are under way at a relay, and what ends them before their time. */

import { TunnelError } from "../errors.ts";
import type { DialSubject, Policy } from "../policy/policy.ts";

/** A dial from its header to its end. */
export interface LiveDial extends DialSubject {
  /** Until when it is allowed, milliseconds since 1970. */
  until: number;
  /** Ends it at once. */
  cut(error: TunnelError): void;
}

export class LiveDials {
  readonly #dials = new Set<LiveDial>();

  get size(): number {
    return this.#dials.size;
  }

  /** Keeps a dial in sight; call the result when it has ended. */
  add(dial: LiveDial): () => void {
    this.#dials.add(dial);
    return () => this.#dials.delete(dial);
  }

  /** Cuts those that the policy does not allow any more. */
  review(policy: Policy, now: number): void {
    for (const dial of this.#dials) {
      try {
        dial.until = policy.authorise(dial, now);
      } catch (cause) {
        if (!(cause instanceof TunnelError)) throw cause;
        dial.cut(cause);
      }
    }
  }

  /** The same for those whose time is up; costs a look at each. */
  expire(policy: Policy, now: number): void {
    for (const dial of this.#dials) {
      if (dial.until <= now) return this.review(policy, now);
    }
  }
}
