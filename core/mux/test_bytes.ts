/** Connections of bytes in memory that cut what they carry anywhere, for the tests of what lies above. */

import type { Random } from "../../tests/random.ts";
import { concat } from "../bytes.ts";
import type { Duplex } from "../duplex.ts";
import type { TunnelError } from "../errors.ts";

/** Bytes that a direction takes before they are read. */
const BUFFER = 256 * 1024;

export interface TestBytes extends Duplex {
  /** Hands out nothing more of what the peer sends, for ever. */
  pause(): void;
}

/** Two ends of a connection. */
export function bytesPair(random: Random): [TestBytes, TestBytes] {
  const [there, back] = [new Direction(random), new Direction(random)];
  return [end(there, back), end(back, there)];
}

function end(out: Direction, from: Direction): TestBytes {
  return {
    read: () => from.read(),
    write: (bytes) => out.write(bytes),
    closeWrite: () => Promise.resolve(out.end()),
    reset(error) {
      out.fail(error);
      from.fail(error);
    },
    pause: () => from.pause(),
  };
}

class Direction {
  readonly #random: Random;
  #bytes: Uint8Array = new Uint8Array(0);
  #ended = false;
  #paused = false;
  #failure?: TunnelError;
  #changed = Promise.withResolvers<void>();

  constructor(random: Random) {
    this.#random = random;
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.#failure) throw this.#failure;
      if (this.#bytes.length > 0 && !this.#paused) break;
      if (this.#ended && !this.#paused) return null;
      await this.#changed.promise;
    }
    const length = Math.min(this.#bytes.length, 1 + this.#random.below(64 * 1024));
    const part = this.#bytes.slice(0, length);
    this.#bytes = this.#bytes.slice(length);
    this.#change();
    return part;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#ended) throw new Error("bytes were written behind the end");
    this.#bytes = concat([this.#bytes, bytes]);
    this.#change();
    while (this.#bytes.length > BUFFER && !this.#failure) await this.#changed.promise;
  }

  end(): void {
    this.#ended = true;
    this.#change();
  }

  fail(error: TunnelError): void {
    this.#failure ??= error;
    this.#change();
  }

  pause(): void {
    this.#paused = true;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
