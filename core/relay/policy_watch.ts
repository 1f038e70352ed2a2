/**
 * Follows the policy in the store, which other processes change too: `tunnel grant` on the relay's
 * machine, another relay of the same home. A store tells nobody, so its version is asked for.
 */

import { delay } from "../deadline.ts";
import { describe } from "../errors.ts";
import type { Log } from "../log.ts";
import { Policy } from "../policy/policy.ts";
import type { Store } from "../store.ts";

/** Milliseconds between two looks at the version. */
const INTERVAL = 500;

export interface PolicyWatchOptions {
  readonly store: Pick<Store, "policy" | "policyVersion">;
  readonly log: Log;
  /** Called with every new policy, and between times when none is new. */
  readonly onTick: (policy: Policy, isNew: boolean) => void;
  /** Milliseconds between two looks; default 500. */
  readonly interval?: number;
}

export class PolicyWatch {
  readonly #options: PolicyWatchOptions;
  #policy = Policy.NOTHING;
  #reading?: Promise<void>;

  constructor(options: PolicyWatchOptions) {
    this.#options = options;
  }

  /** As it was when last looked at: nothing is allowed before the first look. */
  get current(): Policy {
    return this.#policy;
  }

  /** Looks again and again until the signal fires. A store that fails is asked again. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, interval = INTERVAL } = this.#options;
    for (; !signal.aborted; await delay(interval, signal)) {
      try {
        await this.refresh();
      } catch (cause) {
        // What was allowed stays so: a relay that cuts everyone off helps nobody to mend the store.
        log.error("the grants cannot be read", { why: describe(cause) });
      }
    }
  }

  /** Looks now; settles when what was changed before counts. */
  async refresh(): Promise<void> {
    // Who comes while another looks may have changed what that one has read already.
    while (this.#reading) await this.#reading.catch(() => {}); // Its own caller is told.
    this.#reading = this.#look();
    try {
      await this.#reading;
    } finally {
      this.#reading = undefined;
    }
  }

  async #look(): Promise<void> {
    const { store, onTick } = this.#options;
    const isNew = await store.policyVersion() !== this.#policy.version;
    if (isNew) this.#policy = new Policy(await store.policy());
    onTick(this.#policy, isNew);
  }
}
