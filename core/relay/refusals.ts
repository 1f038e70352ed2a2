/** What the limits turn away: counted, said within reason, and told to whom it meets. */

import type { TunnelError } from "../errors.ts";
import type { Log, LogFields } from "../log.ts";
import { limitReached, type RefusingLimit } from "./limits.ts";
import type { RelayMetrics } from "./metrics.ts";
import { QuietLog } from "./quiet_log.ts";

export class Refusals {
  readonly #metrics: RelayMetrics;
  readonly #log: Log;
  readonly #clock: () => number;
  readonly #logs = new Map<RefusingLimit, QuietLog>();

  /** @param clock milliseconds from any beginning */
  constructor(metrics: RelayMetrics, log: Log, clock: () => number) {
    this.#metrics = metrics;
    this.#log = log;
    this.#clock = clock;
  }

  /** Counts what this limit has turned away. */
  count(limit: RefusingLimit, facts?: LogFields): void {
    this.#metrics.refused(limit);
    let quiet = this.#logs.get(limit);
    if (!quiet) this.#logs.set(limit, quiet = new QuietLog(this.#log, this.#clock));
    quiet.warn("refused: a limit is reached", { limit, ...facts });
  }

  /** The same, as an error for whoever is turned away. */
  refuse(limit: RefusingLimit, action: string, state: string, facts?: LogFields): TunnelError {
    this.count(limit, facts);
    return limitReached(limit, action, state);
  }
}
