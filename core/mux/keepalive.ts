/** Asks a silent peer for a sign, and notices when none comes. */

/** Milliseconds below which no idle timeout goes, whatever the peer asks for. */
const LEAST_IDLE = 100;

/** The longest that a timer can be set to, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;

export interface KeepaliveOptions {
  /** Milliseconds between signs; Infinity: the peer sees to them. */
  keepAlive: number;
  /** Milliseconds of silence after which the peer counts as dead; Infinity: never. */
  idleTimeout: number;
  /** Asks on every round, not only when the peer was silent in it; one side is enough. */
  always: boolean;
  ask(): void;
  dead(silence: number): void;
}

/** One timer for both; receiving costs a look at the clock and nothing else. */
export class Keepalive {
  readonly #options: KeepaliveOptions;
  #idle: number;
  #receivedAt = performance.now();
  #dueAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
    this.#idle = Math.max(LEAST_IDLE, options.idleTimeout);
    this.#arm(this.#period);
  }

  /** The peer gives up after this many milliseconds of silence: the shorter bound holds for both. */
  limit(idleTimeout: number): void {
    this.#idle = Math.max(LEAST_IDLE, Math.min(this.#idle, idleTimeout));
    this.#arm(this.#period);
  }

  received(): void {
    this.#receivedAt = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  get #period(): number {
    return Math.min(this.#options.keepAlive, this.#idle * 3 / 4);
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    if (ms === Infinity) return;
    const wait = Math.min(Math.max(1, ms), MAX_TIMER);
    this.#dueAt = performance.now() + wait;
    this.#timer = setTimeout(() => this.#tick(), wait);
  }

  #tick(): void {
    const now = performance.now();
    // A timer this late means that the program itself stood still, and that what the peer sent
    // meanwhile is still unread: it gets one more round.
    const late = now - this.#dueAt > this.#idle / 4;
    if (late) this.#receivedAt = Math.max(this.#receivedAt, now - this.#idle + this.#period);
    const silence = now - this.#receivedAt;
    if (silence >= this.#idle) return this.#options.dead(silence);
    const { keepAlive, always, ask } = this.#options;
    if (keepAlive === Infinity) return this.#arm(this.#idle - silence);
    // Silence that is too short yet is looked at when it is long enough, not a whole round later.
    if (!always && silence < this.#period) return this.#arm(this.#period - silence);
    ask();
    this.#arm(Math.min(this.#period, this.#idle - silence));
  }
}
