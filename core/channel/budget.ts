/** What the receive windows of many channels may grow by together. */

/** Bytes that {@linkcode sharedBudget} has: the memory that fast channels may add to a process. */
export const DEFAULT_BUDGET = 32 * 1024 * 1024;

/**
 * A sum of bytes that channels take from as their windows grow and give back when they end. Without
 * it a hundred readers that were fast once could each hold the largest window for ever.
 */
export class WindowBudget {
  #left: number;

  constructor(bytes: number = DEFAULT_BUDGET) {
    this.#left = bytes;
  }

  /** Takes `bytes`, or nothing when there are not so many left. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/** The budget of this process's channels unless they are given another. */
export const sharedBudget: WindowBudget = new WindowBudget();
