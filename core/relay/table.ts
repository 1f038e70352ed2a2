/**
 * Facts kept by key for as long as somebody uses them and a while after. Keys come from peers, so what
 * nobody uses is bounded: the one that was left alone for longest goes first.
 */

export interface TableOptions<V> {
  make: () => V;
  /** Entries that nobody uses, at most. */
  most: number;
  /** Milliseconds that an entry is kept after its last use. */
  keep: number;
  /** Milliseconds from any beginning. */
  now: () => number;
}

/** An entry in use. */
export interface Held<V> {
  readonly value: V;
  /** Call it once. */
  release(): void;
}

interface Entry<V> {
  readonly value: V;
  users: number;
  touched: number;
}

/** Entries that one call looks at to make room: the work of a call is bounded too. */
const STEPS = 16;

export class Table<V> {
  readonly #options: TableOptions<V>;
  /** Longest untouched first. */
  readonly #entries = new Map<string, Entry<V>>();
  #idle = 0;

  constructor(options: TableOptions<V>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Keeps an entry until it is released; a new key gets a new one. */
  hold(key: string): Held<V> {
    const entry = this.#touch(key);
    if (entry.users++ === 0) this.#idle--;
    return {
      value: entry.value,
      release: () => {
        entry.touched = this.#options.now();
        if (--entry.users === 0) this.#idle++;
      },
    };
  }

  #touch(key: string): Entry<V> {
    const { make, now } = this.#options;
    let entry = this.#entries.get(key);
    if (entry) this.#entries.delete(key);
    else {
      entry = { value: make(), users: 0, touched: 0 };
      this.#idle++;
    }
    entry.touched = now();
    this.#entries.set(key, entry);
    this.#trim();
    return entry;
  }

  #trim(): void {
    const { most, keep, now } = this.#options;
    const old = now() - keep;
    let steps = STEPS;
    for (const [key, entry] of this.#entries) {
      if (steps-- === 0) return;
      if (entry.users > 0) {
        // Out of the way of those that may go.
        this.#entries.delete(key);
        this.#entries.set(key, entry);
      } else if (entry.touched < old || this.#idle > most) {
        this.#entries.delete(key);
        this.#idle--;
      } else {
        return;
      }
    }
  }
}
