/** Decides how far a stream's window should grow. */

/** Bytes to which a window grows at most. */
export const MAX_WINDOW = 4 * 1024 * 1024;
/** Bytes by which it grows at least: a full frame. Smaller steps would only cut frames into pieces. */
const STEP = 64 * 1024;
/** Milliseconds over which a rate is measured at least: less says more of bursts than of the way. */
const LEAST_PERIOD = 4;
/**
 * Milliseconds that credit takes at least where both ends are busy, however short the way is at rest:
 * each has a full message in hand first. What is fast on a short way goes out in full messages then.
 */
const LEAST_TRIP = 2;

/**
 * A window holds its sender back when it is smaller than what is on the way in one round trip. So
 * the reader's rate is measured, and the window made twice the product of rate and round trip; half
 * of it is granted at a time. Larger ones would fill buffers on the way, and every other stream of
 * the session would wait behind them.
 */
export class WindowTuner {
  #since: number;
  #bytes = 0;
  #blocked = false;

  /** All times are in milliseconds on one clock. */
  constructor(now: number) {
    this.#since = now;
  }

  /** The sender has used up its credit. */
  blocked(): void {
    this.#blocked = true;
  }

  /** Takes note of bytes that were read; answers by how many to enlarge the window, often 0. */
  growth(window: number, read: number, roundTrip: number, now: number): number {
    this.#bytes += read;
    const period = now - this.#since;
    if (period < Math.max(LEAST_PERIOD, roundTrip)) return 0;
    const product = Math.max(roundTrip, LEAST_TRIP) * this.#bytes / period;
    const wanted = Math.round(2 * product / STEP) * STEP;
    const blocked = this.#blocked;
    this.#since = now;
    this.#bytes = 0;
    this.#blocked = false;
    return blocked ? Math.max(0, Math.min(wanted, 2 * window, MAX_WINDOW) - window) : 0;
  }
}

/**
 * Whether credit for what was read is to be given: a quarter of the window at a time. A frame for each
 * chunk would cost more than it gains; with half a window most of it would lie idle for the round trip
 * that the credit takes, and a rate measured then would call it large enough.
 */
export function isCreditDue(window: number, read: number): boolean {
  return read * 4 >= window;
}
