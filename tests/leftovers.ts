/** What code under test leaves behind in the runtime: timers, and listeners on signals. */

type Timer = ReturnType<typeof setTimeout>;

/** Counts from its making to its disposal, whoever sets the timer or listens. */
export class Leftovers implements Disposable {
  readonly #timers = new Set<Timer>();
  readonly #listeners = new Map<AbortSignal, Set<unknown>>();
  readonly #restore: () => void;

  constructor() {
    const timers = this.#timers;
    const listeners = this.#listeners;
    const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
    const { addEventListener, removeEventListener } = AbortSignal.prototype;
    Object.assign(globalThis, {
      setTimeout(work: () => void, ms?: number): Timer {
        const timer = setTimeout(() => {
          timers.delete(timer);
          work();
        }, ms);
        timers.add(timer);
        return timer;
      },
      clearTimeout(timer?: Timer): void {
        if (timer !== undefined) timers.delete(timer);
        clearTimeout(timer);
      },
      setInterval(work: () => void, ms?: number): Timer {
        const timer = setInterval(work, ms);
        timers.add(timer);
        return timer;
      },
      clearInterval(timer?: Timer): void {
        if (timer !== undefined) timers.delete(timer);
        clearInterval(timer);
      },
    });
    Object.assign(AbortSignal.prototype, {
      addEventListener(this: AbortSignal, ...args: Parameters<typeof addEventListener>): void {
        listeners.set(this, (listeners.get(this) ?? new Set()).add(args[1]));
        addEventListener.apply(this, args);
      },
      removeEventListener(this: AbortSignal, ...args: Parameters<typeof addEventListener>): void {
        listeners.get(this)?.delete(args[1]);
        removeEventListener.apply(this, args);
      },
    });
    this.#restore = () => {
      Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval });
      Object.assign(AbortSignal.prototype, { addEventListener, removeEventListener });
    };
  }

  /** Timers that are yet to fire, or to fire again. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Listeners on signals that are yet to fire. */
  get listeners(): number {
    let count = 0;
    for (const [signal, set] of this.#listeners) if (!signal.aborted) count += set.size;
    return count;
  }

  [Symbol.dispose](): void {
    this.#restore();
  }
}
