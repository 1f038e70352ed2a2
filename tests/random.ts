/** Seeded randomness for tests: every run prints its seed, TUNNEL_TEST_SEED repeats one. */

/** A seed for this test, printed so that a failure can be repeated. */
export function newSeed(): number {
  const given = Deno.env.get("TUNNEL_TEST_SEED");
  const seed = given ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0]!;
  console.log(`seed ${seed}`);
  return seed;
}

/** mulberry32: small, fast and repeatable; not for secrets. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to 2^32 - 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** 0 to limit - 1. */
  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.next();
    return bytes;
  }
}
