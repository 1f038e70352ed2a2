/**
 * Bandwidth, shared fairly: whoever has a block to pass on waits for a turn, and turns go round. Each
 * stream waits with one block at a time, so a turn at the end of the line is a round robin.
 */

import { Bucket } from "../bucket.ts";
import { BLOCK } from "../blocks.ts";
import { abortError } from "../deadline.ts";

/** Time as a shaper needs it. */
export interface Clock {
  /** Milliseconds from any beginning. */
  now(): number;
  /** Runs the work later; the result calls it off. */
  after(ms: number, work: () => void): () => void;
}

/** The platform's own. */
export const CLOCK: Clock = {
  now: () => performance.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};

/** A block that waits. */
interface Turn {
  readonly bytes: number;
  pass(): void;
}

/** One share of bandwidth, for all streams that pass through it. */
export class Shaper {
  readonly #bucket: Bucket;
  readonly #clock: Clock;
  readonly #onWait: () => void;
  readonly #turns = new Set<Turn>();
  #callOff: (() => void) | undefined;

  /**
   * @param rate bytes per second, above 0
   * @param onWait is told of every block that has to wait
   */
  constructor(rate: number, onWait: () => void = () => {}, clock: Clock = CLOCK) {
    // What a quarter of a second gives may pass at once, so that late timers cost no bandwidth.
    const burst = Math.max(rate / 4, BLOCK);
    this.#bucket = new Bucket({ perSecond: rate, burst }, () => clock.now());
    this.#clock = clock;
    this.#onWait = onWait;
  }

  /**
   * A turn for this many bytes: nothing when it is at once, else what settles when it has come. A block
   * larger than what is there passes whole, and the next waits the longer.
   *
   * @throws {TunnelError} (by rejection) the signal's reason when it fires first
   */
  take(bytes: number, signal?: AbortSignal): Promise<void> | undefined {
    if (this.#turns.size === 0 && this.#bucket.wait() === 0) {
      this.#bucket.spend(bytes);
      return undefined;
    }
    this.#onWait();
    return this.#wait(bytes, signal);
  }

  #wait(bytes: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (signal?.aborted) {
      reject(abortError(signal, "wait for bandwidth"));
      return promise;
    }
    const turn: Turn = {
      bytes,
      pass() {
        signal?.removeEventListener("abort", leave);
        resolve();
      },
    };
    const leave = () => {
      this.#turns.delete(turn);
      reject(abortError(signal!, "wait for bandwidth"));
      if (this.#turns.size === 0) this.#rest();
    };
    signal?.addEventListener("abort", leave, { once: true });
    this.#turns.add(turn);
    if (!this.#callOff) this.#plan();
    return promise;
  }

  #run(): void {
    this.#callOff = undefined;
    for (const turn of this.#turns) {
      if (this.#bucket.wait() > 0) break;
      this.#bucket.spend(turn.bytes);
      this.#turns.delete(turn);
      turn.pass();
    }
    if (this.#turns.size > 0) this.#plan();
  }

  #plan(): void {
    this.#callOff = this.#clock.after(Math.max(1, this.#bucket.wait()), () => this.#run());
  }

  #rest(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }
}
