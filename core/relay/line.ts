/**
 * The line of those who want to sign in. A relay does everything in one thread: were all served at
 * once, each would be served late, and with a fleet at the door so late that it has left.
 */

import { abortError } from "../deadline.ts";

/** Newcomers that are served at once: enough to use the time in which a peer is waited for. */
const TURNS = 32;
/** Milliseconds after which somebody else is served too: a slow peer keeps nobody from coming in. */
const TURN = 500;

export interface LineOptions {
  /** Newcomers that are served at once; default 32. */
  readonly turns?: number;
  /** Milliseconds after which a turn is over, whoever has it being done or not; default 500. */
  readonly turn?: number;
}

export class Line {
  readonly #turn: number;
  #free: number;
  /** First come, first served. */
  readonly #waiting = new Set<() => void>();

  constructor({ turns = TURNS, turn = TURN }: LineOptions = {}) {
    this.#free = turns;
    this.#turn = turn;
  }

  /** Those who wait. */
  get length(): number {
    return this.#waiting.size;
  }

  /**
   * Settles when it is one's turn, with what to call when one is done; any number of times.
   *
   * @throws {TunnelError} the signal's reason, or `aborted`
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    let isOver = false;
    const leave = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.#next();
    };
    const timer = setTimeout(leave, this.#turn);
    return leave;
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const give = () => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = () => {
        this.#waiting.delete(give);
        reject(abortError(signal, "wait to be let in"));
      };
      this.#waiting.add(give);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** The turn goes to whoever has waited longest. */
  #next(): void {
    const [first] = this.#waiting;
    if (!first) return void this.#free++;
    this.#waiting.delete(first);
    first();
  }
}
