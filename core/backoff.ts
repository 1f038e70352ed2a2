/** How long to wait between attempts: capped exponential growth with jitter. */

export interface BackoffOptions {
  /** Milliseconds before the second attempt; default 250. */
  first?: number;
  /** Milliseconds, at most; default 5,000, so that a fleet is back soon after its relay. */
  cap?: number;
  /** 0 to 1; default `Math.random`. */
  random?: () => number;
}

/** Doubles from `first` up to `cap`; each delay is cut by up to half, so that a herd spreads out. */
export class Backoff {
  readonly #first: number;
  readonly #cap: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor({ first = 250, cap = 5_000, random = Math.random }: BackoffOptions = {}) {
    this.#first = first;
    this.#cap = cap;
    this.#random = random;
  }

  /**
   * Milliseconds to wait now.
   *
   * @param spread milliseconds over which a whole fleet spreads its attempts, where it would be more:
   * the first ones fall anywhere in it, those after a failure in its second half
   */
  next(spread = 0): number {
    const isFirst = this.#attempt === 0;
    const full = Math.min(this.#cap, this.#first * 2 ** Math.min(this.#attempt++, 30));
    const own = full * (1 - this.#random() / 2);
    return Math.max(own, spread * (isFirst ? this.#random() : 1 - this.#random() / 2));
  }

  /** The last attempt succeeded and lasted. */
  reset(): void {
    this.#attempt = 0;
  }
}
