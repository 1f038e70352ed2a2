/** What is fuzzed: something that makes inputs, and says of each whether all is well. */

import type { Random } from "../random.ts";

export interface Target {
  /** As `deno task fuzz NAME` takes it. */
  readonly name: string;
  /** Inputs that the suite tries, and a tenth of them is a round of `deno task fuzz`. */
  readonly iterations: number;
  /** An input; the same for the same random numbers. */
  make(random: Random): Uint8Array;
  /** Fails when the code under test does what it must not. The same input, the same outcome. */
  check(input: Uint8Array): void | Promise<void>;
}

/** A text as an input: its UTF-16 code units, big-endian, so that lone surrogates stay what they are. */
export function fromText(text: string): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(text.length * 2));
  for (let i = 0; i < text.length; i++) view.setUint16(i * 2, text.charCodeAt(i));
  return new Uint8Array(view.buffer);
}

/** The text of an input; an odd last byte is dropped. */
export function toText(input: Uint8Array): string {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let text = "";
  for (let i = 0; i + 1 < input.length; i += 2) text += String.fromCharCode(view.getUint16(i));
  return text;
}

/**
 * An input read as decisions: what a state machine's script is made of. At its end every decision
 * is 0, so that a script that lost its tail is still one.
 */
export class Tape {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** 0 to 255. */
  byte(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  /** 0 to `limit` - 1, at most 65,535. */
  below(limit: number): number {
    return (this.byte() << 8 | this.byte()) % limit;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.byte() % items.length]!;
  }

  /** True once in so many times. */
  chance(times: number): boolean {
    return this.byte() % times === times - 1;
  }
}
