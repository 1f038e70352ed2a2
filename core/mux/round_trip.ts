/** The round trip time of a session, from PINGs of which at most one is under way. */

/** Round trips measured at the start: the first ones include the warming up of both ends. */
const FIRST = 16;
/** Milliseconds after which that makes no difference any more. */
const WARM = 500;
/** Milliseconds after which a measurement is repeated when there is something to send anyway. */
const REPEAT = 10;

export class RoundTrip {
  #value = 0;
  #sentAt: number | undefined;
  #lastAt = 0;
  readonly #startedAt = performance.now();
  #measured = 0;
  #shortest: number | undefined;

  /** The shortest seen, in milliseconds; 0 when none was seen yet. */
  get shortest(): number {
    return this.#shortest ?? 0;
  }

  /** The value of the latest PING; 0 when there was none. */
  get value(): number {
    return this.#value;
  }

  /** True while another measurement at once would tell more. */
  get wanting(): boolean {
    return this.#measured < FIRST && performance.now() - this.#startedAt < WARM;
  }

  /** The value for a new PING, never 0; undefined while one is under way. */
  start(): number | undefined {
    if (this.#sentAt !== undefined) return undefined;
    this.#sentAt = performance.now();
    this.#value = (this.#value + 1) >>> 0 || 1;
    return this.#value;
  }

  /** The same, when the last measurement is some time ago. */
  startIfDue(): number | undefined {
    const due = performance.now() - (this.#sentAt ?? this.#lastAt) >= REPEAT;
    return due ? this.start() : undefined;
  }

  /** Takes a PONG; one that answers no PING of ours says nothing and is harmless. */
  answered(value: number): void {
    if (this.#sentAt === undefined || value !== this.#value) return;
    const took = performance.now() - this.#sentAt;
    this.#lastAt = this.#sentAt;
    this.#sentAt = undefined;
    this.#measured++;
    if (this.#shortest === undefined || took < this.#shortest) this.#shortest = took;
  }
}
