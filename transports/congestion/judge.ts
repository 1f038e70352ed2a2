/**
 * Whether a way loses packets by itself: told from small packets, of which each is sent back at once.
 * The judge is a sequential probability ratio test (Wald 1945) between two shares of lost round
 * trips. Packets in a crowd do not count: where a queue is building up, losses are congestion.
 */

/** What the judge has come to. "near": the round trip is so short that losses are soon repaired. */
export type Verdict = "lossy" | "clean" | "near";

/**
 * Shares of round trips that are lost on a lossy way: the largest at {@linkcode NEAR}, less by the
 * square of the round trip, since what Cubic carries goes by the round trip times the root of the share
 * (Mathis, Semke, Mahdavi, Ott 1997), and the least that can be told within seconds.
 */
const LOSSY = { most: 0.005, least: 0.001 };
/** As many times less are lost on a clean way. */
const APART = 10;
/**
 * Natural logarithms of the odds at which it is decided: wrongly once in 30, which costs a clean way
 * little, and in 100.
 */
const DECIDE_LOSSY = Math.log(30);
const DECIDE_CLEAN = -Math.log(100);
/** Packets that count after which it is decided by smaller odds. */
const MOST = 3_000;
const DECIDE_LATE = Math.log(10);
/** Milliseconds of a round trip below which it does not matter. */
const NEAR = 10;
/** Packets after which a missing one is lost and not late. */
const LATE = 20;
/** Round trips that are looked back at. */
const RECENT = 5;
/** A way is crowded at so many times its least round trip, and some milliseconds of noise. */
const CROWDED = 1.5;
const NOISE = 5;

/** Judges a way by numbered packets. */
export class LossJudge {
  /** Those under way, oldest first. */
  readonly #sent = new Map<number, Sent>();
  readonly #recent: number[] = [];
  #least = Infinity;
  #odds = 0;
  #counted = 0;
  #returned = 0;
  #lastLost = -1;
  #verdict?: Verdict;

  /** What it has come to, once it has. */
  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** @param number one more than the packet before had, @param at milliseconds, any beginning */
  sent(number: number, at: number): void {
    this.#sent.set(number, { at });
  }

  /** A packet is back. One that was never sent, or has come already, or is given up, is nothing. */
  returned(number: number, at: number): void {
    const sent = this.#sent.get(number);
    if (!sent || this.#verdict) return;
    this.#sent.delete(number);
    this.#note(at - sent.at);
    const isCrowded = this.#isCrowded();
    const lossy = this.#lossy;
    if (!isCrowded) this.#count(Math.log((1 - lossy) / (1 - lossy / APART)));
    for (const [earlier, sent] of this.#sent) {
      if (earlier > number) break;
      // How it was when the packet was missed first, and not when it was given up.
      sent.crowded ??= isCrowded;
      if (earlier <= number - LATE) this.#lost(earlier, sent.crowded);
    }
    if (this.#returned === LATE && this.#least < NEAR) this.#verdict ??= "near";
  }

  #note(took: number): void {
    this.#returned++;
    this.#least = Math.min(this.#least, took);
    this.#recent.push(took);
    if (this.#recent.length > RECENT) this.#recent.shift();
  }

  #lost(number: number, crowded: boolean): void {
    this.#sent.delete(number);
    // Losses in a row have one cause, such as a moment of darkness.
    const isNext = number === this.#lastLost + 1;
    this.#lastLost = number;
    if (!crowded && !isNext) this.#count(Math.log(APART));
  }

  #count(odds: number): void {
    this.#odds += odds;
    this.#counted++;
    if (this.#odds >= DECIDE_LOSSY) this.#verdict ??= "lossy";
    else if (this.#odds <= DECIDE_CLEAN) this.#verdict ??= "clean";
    else if (this.#counted >= MOST) this.#verdict ??= this.#odds > DECIDE_LATE ? "lossy" : "clean";
  }

  /** The share of lost round trips from which on this way is lossy. */
  get #lossy(): number {
    return Math.max(LOSSY.least, LOSSY.most * Math.min(1, (NEAR / this.#least) ** 2));
  }

  #isCrowded(): boolean {
    const sorted = this.#recent.toSorted((a, b) => a - b);
    return sorted[sorted.length >> 1]! > CROWDED * this.#least + NOISE;
  }
}

interface Sent {
  readonly at: number;
  /** Set once a later one is back. */
  crowded?: boolean;
}
