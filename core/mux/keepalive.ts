/** Asks a silent peer for a sign, and notices when none comes. */

import { type Look, RestClock } from "./rest_clock.ts";

/** Milliseconds below which no idle timeout goes, whatever the peer asks for. */
const LEAST_IDLE = 100;

/** The longest that a timer can be set to, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;

export interface KeepaliveOptions {
  /** Milliseconds between signs; Infinity: the peer sees to them. */
  keepAlive: number;
  /** Milliseconds of silence after which the peer counts as dead; Infinity: never. */
  idleTimeout: number;
  /** What both are multiplied by at rest; at least 1. */
  atRest: number;
  /** Asks on every round, not only when the peer was silent in it; one side is enough. */
  always: boolean;
  ask(): void;
  dead(silence: number): void;
}

/**
 * One timer for both, and at rest one that all sessions share; receiving costs a look at the clock and
 * nothing else.
 */
export class Keepalive {
  readonly #options: KeepaliveOptions;
  /** Milliseconds, in use and at rest. */
  readonly #idle: { inUse: number; atRest: number };
  #isResting: boolean;
  #receivedAt = performance.now();
  readonly #look: Look = { dueAt: 0, look: () => this.#tick() };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #clock: RestClock | undefined;
  /** At rest: whether the round before this one asked. */
  #asked = false;

  constructor(options: KeepaliveOptions) {
    const { idleTimeout, atRest } = options;
    this.#options = options;
    this.#isResting = atRest > 1;
    this.#idle = { inUse: Infinity, atRest: Infinity };
    this.limit(idleTimeout, idleTimeout * atRest);
  }

  /**
   * The peer gives up after this many milliseconds of silence in use, and at rest: the shorter bounds
   * hold for both.
   */
  limit(inUse: number, atRest: number): void {
    this.#idle.inUse = Math.max(LEAST_IDLE, Math.min(this.#idle.inUse, inUse));
    this.#idle.atRest = Math.max(LEAST_IDLE, Math.min(this.#idle.atRest, atRest));
    this.#arm(this.#round);
  }

  /** Whether the session is at rest from now on; it is at first, where that makes a difference. */
  rest(isResting: boolean): void {
    if (this.#options.atRest === 1 || isResting === this.#isResting) return;
    this.#isResting = isResting;
    // What was armed in use is soon enough for a rest too.
    if (isResting) return;
    const now = performance.now();
    const due = this.#receivedAt + this.#period;
    if (now < due) {
      if (this.#look.dueAt > due) this.#arm(due - now);
      return;
    }
    // Silence was in order until now.
    this.#receivedAt = now;
    this.#options.ask();
    this.#arm(this.#period);
  }

  received(): void {
    this.#receivedAt = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#clock?.remove(this.#look);
    this.#clock = undefined;
  }

  get #limit(): number {
    return this.#isResting ? this.#idle.atRest : this.#idle.inUse;
  }

  /** Milliseconds from sign to sign: what is left of the limit is for the answer. */
  get #period(): number {
    const { keepAlive, atRest } = this.#options;
    if (this.#isResting) return Math.min(keepAlive * atRest, this.#limit * 2 / 3);
    return Math.min(keepAlive, this.#limit * 3 / 4);
  }

  /** Milliseconds from look to look: at rest it is asked at every second one. */
  get #round(): number {
    return this.#asksAtRest ? this.#period / 2 : this.#period;
  }

  /** Whether the peer is to see to signs. An end in use asks where the peer may rest already. */
  get #leaves(): boolean {
    const { keepAlive, atRest } = this.#options;
    return keepAlive === Infinity && (this.#isResting || atRest === 1);
  }

  get #asksAtRest(): boolean {
    return this.#isResting && !this.#leaves;
  }

  #arm(ms: number): void {
    if (ms === Infinity) return this.stop();
    const wait = Math.min(Math.max(1, Math.ceil(ms)), MAX_TIMER);
    this.#look.dueAt = performance.now() + wait;
    const clock = this.#asksAtRest ? RestClock.of(wait) : undefined;
    if (clock && clock === this.#clock) return;
    this.stop();
    this.#clock = clock;
    if (clock) clock.add(this.#look);
    else this.#timer = setTimeout(this.#look.look, wait);
  }

  #tick(): void {
    const now = performance.now();
    // A timer this late means that the program itself stood still, and that what the peer sent
    // meanwhile is still unread: it gets one more round.
    const limit = this.#limit;
    const late = now - this.#look.dueAt > limit / 4;
    if (late) this.#receivedAt = Math.max(this.#receivedAt, now - limit + this.#period);
    const silence = now - this.#receivedAt;
    const rests = this.#asksAtRest;
    // What came a moment after the look before it must not get it a whole look more.
    if (silence >= limit - (rests ? this.#round / 4 : 0)) {
      this.stop();
      return this.#options.dead(silence);
    }
    const { always, ask } = this.#options;
    if (this.#leaves) return this.#arm(limit - silence);
    if (rests) {
      this.#asked = !this.#asked;
      if (this.#asked) ask();
      return this.#arm(this.#round);
    }
    // Silence that is too short yet is looked at when it is long enough, not a whole round later.
    if (!always && silence < this.#period) return this.#arm(this.#period - silence);
    ask();
    this.#arm(Math.min(this.#period, limit - silence));
  }
}
