/** What each member may use of the relay once signed in: sessions, dials, bandwidth. */

import { Bucket, recovery } from "../bucket.ts";
import type { Principal } from "../control.ts";
import type { RelayLimits, SlowingLimit } from "./limits.ts";
import type { RelayMetrics } from "./metrics.ts";
import type { Refusals } from "./refusals.ts";
import { CLOCK, type Clock, Shaper } from "./shaper.ts";
import type { Traffic } from "./splice.ts";
import { type Held, Table } from "./table.ts";

/** Members remembered that use nothing now. */
const MAX_MEMBERS = 16_384;
/** Milliseconds for which they are, at least: whoever leaves in debt of bandwidth comes back in debt. */
const KEPT = 60_000;

export interface MembersOptions {
  readonly limits: RelayLimits;
  readonly metrics: RelayMetrics;
  readonly refusals: Refusals;
  readonly clock?: Clock;
}

/** A dial's place among those of its operator and of the relay. */
export interface Place {
  /** How what the dial carries is counted and shaped. */
  readonly traffic: Traffic;
  /** Call it once. */
  release(): void;
}

interface Operator {
  dials: number;
  readonly rate: Bucket;
  readonly shaper: Shaper | undefined;
}

export class Members {
  readonly #options: MembersOptions;
  readonly #clock: Clock;
  readonly #seats = new Map<string, number>();
  readonly #operators: Table<Operator>;
  readonly #devices: Table<{ readonly shaper: Shaper | undefined }>;
  readonly #shaper: Shaper | undefined;
  #dials = 0;

  constructor(options: MembersOptions) {
    const { limits, clock = CLOCK } = options;
    this.#options = options;
    this.#clock = clock;
    const keep = Math.max(KEPT, recovery(limits.dialRate));
    const common = { most: MAX_MEMBERS, keep, now: clock.now };
    this.#operators = new Table({
      ...common,
      make: () => ({
        dials: 0,
        rate: new Bucket(limits.dialRate, clock.now),
        shaper: this.#shaperOf(limits.operatorBandwidth, "operator-bandwidth"),
      }),
    });
    this.#devices = new Table({
      ...common,
      make: () => ({ shaper: this.#shaperOf(limits.deviceBandwidth, "device-bandwidth") }),
    });
    this.#shaper = this.#shaperOf(limits.bandwidth, "bandwidth");
  }

  /**
   * A seat for one more session of a member; the result gives it back. A device's are counted by
   * process, since another process takes its place anyway.
   *
   * @param isNew whoever has just joined is always let in: the join string is spent
   * @throws {TunnelError} `limit`
   */
  seat({ role, name }: Principal, instance: string, isNew: boolean): () => void {
    const { limits, refusals } = this.#options;
    const isOperator = role === "operator";
    const key = isOperator ? `operator ${name}` : `device ${name} ${instance}`;
    const taken = this.#seats.get(key) ?? 0;
    if (taken >= (isOperator ? limits.operatorSessions : limits.deviceSessions) && !isNew) {
      const limit = isOperator ? "operator-sessions" : "device-sessions";
      const state = `${role} ${name} has ${taken} sessions`;
      throw refusals.refuse(limit, "sign in", state, { [role]: name });
    }
    this.#seats.set(key, taken + 1);
    return () => {
      const left = this.#seats.get(key)! - 1;
      if (left > 0) this.#seats.set(key, left);
      else this.#seats.delete(key);
    };
  }

  /**
   * A place for one more dial.
   *
   * @throws {TunnelError} `limit`
   */
  dial(operator: string, device: string): Place {
    const { metrics } = this.#options;
    const from = this.#operators.hold(operator);
    try {
      this.#checkDial(operator, from.value);
    } catch (error) {
      from.release();
      throw error;
    }
    const to = this.#devices.hold(device);
    from.value.dials++;
    this.#dials++;
    metrics.active.add();
    return {
      traffic: this.#traffic(from, to),
      release: () => {
        metrics.active.add(-1);
        this.#dials--;
        from.value.dials--;
        from.release();
        to.release();
      },
    };
  }

  /** How often one control stream may ask. */
  requests(): Bucket {
    return new Bucket(this.#options.limits.requests, this.#clock.now);
  }

  #checkDial(operator: string, facts: Operator): void {
    const { limits, refusals } = this.#options;
    const refuse = (limit: "operator-dials" | "dials" | "dial-rate", state: string) =>
      refusals.refuse(limit, "dial", state, { operator });
    if (facts.dials >= limits.operatorDials) {
      throw refuse("operator-dials", `operator ${operator} has ${facts.dials} connections`);
    }
    if (this.#dials >= limits.dials) {
      throw refuse("dials", `the relay carries ${this.#dials} connections`);
    }
    if (!facts.rate.take()) throw refuse("dial-rate", `operator ${operator} dials too often`);
  }

  #traffic(
    from: Held<{ shaper: Shaper | undefined }>,
    to: Held<{ shaper: Shaper | undefined }>,
  ): Traffic {
    const { sent, received } = this.#options.metrics;
    const shapers = [from.value.shaper, to.value.shaper, this.#shaper]
      .filter((shaper) => shaper !== undefined);
    return { sent, received, shapers: shapers.length > 0 ? shapers : undefined };
  }

  #shaperOf(rate: number | undefined, limit: SlowingLimit): Shaper | undefined {
    if (rate === undefined) return undefined;
    const waits = this.#options.metrics.waits(limit);
    return new Shaper(rate, () => waits.add(), this.#clock);
  }
}
