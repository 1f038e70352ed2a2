/** Token buckets: how often something may happen, and how much of it at once after a rest. */

/** A rate with its burst. */
export interface Rate {
  /** Tokens that come back each second; above 0. */
  readonly perSecond: number;
  /** Tokens that there are at most; 1 or more. */
  readonly burst: number;
}

/** Tokens less than this short of a whole one count as it: sums of fractions are never exact. */
const EPSILON = 1e-6;

/** Full at first. */
export class Bucket {
  readonly #rate: Rate;
  readonly #now: () => number;
  #tokens: number;
  #at: number;

  /** @param now milliseconds from any beginning, never less than before */
  constructor(rate: Rate, now: () => number) {
    this.#rate = rate;
    this.#now = now;
    this.#tokens = rate.burst;
    this.#at = now();
  }

  /** Takes that many tokens if they are there. */
  take(count = 1): boolean {
    if (this.wait(count) > 0) return false;
    this.#tokens -= count;
    return true;
  }

  /** Takes that many whether they are there or not: what is short has to come back first. */
  spend(count: number): void {
    this.#refill();
    this.#tokens -= count;
  }

  /** Whole milliseconds until that many are there; 0 when they are. */
  wait(count = 1): number {
    this.#refill();
    const short = count - this.#tokens;
    return short <= EPSILON ? 0 : Math.ceil(short * 1_000 / this.#rate.perSecond);
  }

  #refill(): void {
    const now = this.#now();
    const back = (now - this.#at) * this.#rate.perSecond / 1_000;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + back);
    this.#at = now;
  }
}

/** Milliseconds after which an unused bucket of this rate is full again. */
export function recovery({ perSecond, burst }: Rate): number {
  return Math.ceil(burst * 1_000 / perSecond);
}
