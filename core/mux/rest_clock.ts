/**
 * Looks at many sessions at rest by one timer. Thousands of timers that are each made for their own
 * time would be most of what a relay's garbage collector has to do.
 */

/** The part of a round by which a look may be late: few sessions are looked at in one go. */
const LATE = 1 / 64;

/** Something that is looked at; it says itself when it is next, and stays until it is removed. */
export interface Look {
  /** Milliseconds, of `performance.now()`. */
  dueAt: number;
  look(): void;
}

const clocks = new Map<number, RestClock>();

export class RestClock {
  readonly #round: number;
  readonly #looks = new Set<Look>();
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(round: number) {
    this.#round = round;
  }

  /** The clock of all that are looked at every so many milliseconds. */
  static of(round: number): RestClock {
    let clock = clocks.get(round);
    if (!clock) clocks.set(round, clock = new RestClock(round));
    return clock;
  }

  add(look: Look): void {
    this.#looks.add(look);
    this.#timer ??= setInterval(() => this.#tick(), this.#round * LATE);
  }

  remove(look: Look): void {
    this.#looks.delete(look);
    if (this.#looks.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    clocks.delete(this.#round);
  }

  #tick(): void {
    const now = performance.now();
    for (const look of this.#looks) if (look.dueAt <= now) look.look();
  }
}
