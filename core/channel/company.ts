/**
 * Which channels of a process somebody waits for: those that carry little. What a fast channel has
 * under way, the others' bytes wait behind, in every buffer between the two ends; so while it has
 * company, it makes do with less.
 */

/** Milliseconds for which a channel counts as what it was last: a pause in typing. */
const LASTING = 5_000;

export class Company {
  readonly #now: () => number;
  /** The two that carried little last: whoever asks is one of them at most. */
  #latest?: Companion;
  #before?: Companion;

  /** @param now milliseconds from any beginning, never less than before */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A channel begins. */
  join(): Companion {
    return new Companion(this, this.#now);
  }

  spoke(companion: Companion): void {
    if (companion === this.#latest) return;
    this.#before = this.#latest;
    this.#latest = companion;
  }

  /** Whether another than this one is waited for. */
  isAround(companion: Companion): boolean {
    return [this.#latest, this.#before].some((one) => one !== companion && one?.isWaitedFor);
  }

  left(companion: Companion): void {
    if (this.#before === companion) this.#before = undefined;
    if (this.#latest !== companion) return;
    this.#latest = this.#before;
    this.#before = undefined;
  }
}

/** What a channel is to the others. */
export class Companion {
  readonly #company: Company;
  readonly #now: () => number;
  #spokeAt = -Infinity;
  #filledAt = -Infinity;

  constructor(company: Company, now: () => number) {
    this.#company = company;
    this.#now = now;
  }

  /** Bytes have come. */
  spoke(): void {
    const now = this.#now();
    this.#spokeAt = now;
    if (now - this.#filledAt > LASTING) this.#company.spoke(this);
  }

  /** One direction has used up its credit: it carries much. */
  filled(): void {
    this.#filledAt = this.#now();
  }

  get isWaitedFor(): boolean {
    const now = this.#now();
    return now - this.#spokeAt <= LASTING && now - this.#filledAt > LASTING;
  }

  /** Whether another channel is waited for. */
  get hasCompany(): boolean {
    return this.#company.isAround(this);
  }

  /** The channel is over. */
  leave(): void {
    this.#company.left(this);
  }
}

/** That of this process's channels unless they are given another. */
export const sharedCompany: Company = new Company();
