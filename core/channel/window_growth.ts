/**
 * Whether a larger receive window makes a channel faster. Each window shows how long a grant of credit
 * takes until it is made use of: a way that is not full brings twice the bytes in the same time; on a
 * full one they take twice as long, because they wait there, and everybody else's bytes with them.
 */

import { median } from "../statistics.ts";

/**
 * Bytes up to which a window grows untried: what keeps three processes busy that take turns on one
 * machine.
 */
const AMPLE = 1024 * 1024;
/** Milliseconds of a trip below which a way is short, and from which on it is surely long. */
const SHORT = 5;
const LONG = 50;
/** Trips with less under way by which it is found out, between the two. */
const PROBES = 8;
/** Grants by which a window is judged; their median counts. */
const TRIALS = 8;
/** Times as long at twice the window: above, growing has gained too little. */
const GAIN = 1.6;
/**
 * Milliseconds of a trip up to which it has gained all the same: so little waiting is noticed by nobody,
 * and processes that find more at a time move a sixth more on two cores.
 */
const BRIEF = 40;
/** Grants until a window that was too large is tried again, at first and at most. */
const PATIENCE = { first: 64, most: 4_096 };

export type Advice = "grow" | "shrink" | "stay";

export class WindowGrowth {
  readonly #now: () => number;
  /** The grant under way: used once bytes beyond this position have come. One at a time is measured. */
  #grant: { readonly beyond: number; readonly at: number; readonly yields: boolean } | undefined;
  /** Of the present window. */
  #trips: number[] = [];
  /** The median trip of the window before, while the present one is on trial. */
  #before: number | undefined;
  /** The shortest trip on this way, in which little waited. */
  #least = Infinity;
  #probes = 0;
  #rest = 0;
  #patience = PATIENCE.first;

  /** @param now milliseconds from any beginning */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Whether the way is so short that 192 KiB carry 300 Mbit/s over it, and most of what is under way
   * beyond that waits in buffers. With much under way no trip may tell: then it is for a few trips with
   * less to find out, and true meanwhile.
   */
  get isShort(): boolean {
    return this.#least < SHORT || (this.#least < LONG && this.#probes < PROBES);
  }

  /**
   * The peer is told that it may send beyond what it was allowed so far.
   *
   * @param yields it is given less than its window
   */
  granted(beyond: number, yields = false): void {
    this.#grant ??= { beyond, at: this.#now(), yields };
  }

  /** Bytes up to this position have come. */
  received(position: number): void {
    if (!this.#grant || position <= this.#grant.beyond) return;
    const { at, yields } = this.#grant;
    const trip = this.#now() - at;
    this.#grant = undefined;
    this.#least = Math.min(this.#least, trip);
    if (yields) {
      this.#probes++;
      return;
    }
    this.#trips.push(trip);
    // The latest count: a channel may have done little else in a long while.
    if (this.#trips.length > TRIALS) this.#trips.shift();
    if (this.#rest > 0) this.#rest--;
  }

  /** What to do with the window of a channel whose sender has used it up, and whose reader waits. */
  advise(window: number): Advice {
    if (window < AMPLE) {
      this.#begin(undefined);
      return "grow";
    }
    if (this.#trips.length < TRIALS || this.#rest > 0) return "stay";
    const trip = median(this.#trips);
    if (this.#before !== undefined && trip > BRIEF && trip > this.#before * GAIN) {
      this.#rest = this.#patience;
      this.#patience = Math.min(2 * this.#patience, PATIENCE.most);
      this.#begin(undefined);
      return "shrink";
    }
    if (this.#before !== undefined) this.#patience = PATIENCE.first;
    this.#begin(trip);
    return "grow";
  }

  /** What was measured is of another way. */
  forget(): void {
    this.#grant = undefined;
    this.#least = Infinity;
    this.#probes = 0;
    this.#rest = 0;
    this.#patience = PATIENCE.first;
    this.#begin(undefined);
  }

  #begin(before: number | undefined): void {
    this.#before = before;
    this.#trips = [];
  }
}
