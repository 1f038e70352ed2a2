/** Reading exact amounts from a stream of chunks, and small helpers on bytes. */

import { BlockReader } from "./block_reader.ts";
import { TunnelError } from "./errors.ts";
import type { Stream } from "./transport.ts";

const EMPTY = new Uint8Array(0);

/** Reads exact numbers of bytes from a stream, whose reading direction it owns. */
export class ByteReader {
  readonly #blocks: BlockReader;
  #chunk: Uint8Array = EMPTY;

  constructor(stream: Pick<Stream, "readable" | "direct">) {
    this.#blocks = new BlockReader(stream);
  }

  /** Bytes that have come, whether they were asked for or not. */
  get received(): number {
    return this.#blocks.received;
  }

  /**
   * Exactly `length` bytes, valid until the next read; null when the stream ends before the first of
   * them.
   *
   * @throws {TunnelError} `reset` when the stream ends half-way
   */
  async readExactly(length: number): Promise<Uint8Array | null> {
    const first = await this.read();
    if (first === null) return null;
    if (first.length >= length) {
      this.#chunk = first.subarray(length);
      return first.subarray(0, length);
    }
    const whole = new Uint8Array(length);
    whole.set(first);
    let filled = first.length;
    while (filled < length) {
      const chunk = await this.read();
      if (chunk === null) {
        throw new TunnelError("reset", {
          action: "read",
          state: `the stream ended after ${filled} of ${length} bytes`,
        });
      }
      const used = Math.min(chunk.length, length - filled);
      whole.set(chunk.subarray(0, used), filled);
      filled += used;
      this.#chunk = chunk.subarray(used);
    }
    return whole;
  }

  /** The next bytes, however many, valid until the next read; null at the end. */
  async read(): Promise<Uint8Array | null> {
    const chunk = this.#chunk;
    this.#chunk = EMPTY;
    return chunk.length > 0 ? chunk : await this.#blocks.read();
  }

  /** Has the next read give this: the end of what was read last, or what was read before. */
  unread(rest: Uint8Array): void {
    this.#chunk = rest;
  }

  /** {@linkcode BlockReader.rest}. */
  rest(): void {
    this.#blocks.rest();
  }

  /** {@linkcode BlockReader.arrival}. */
  arrival(): Promise<unknown> {
    if (this.#chunk.length > 0) return Promise.resolve();
    this.#chunk = EMPTY; // The end of a block holds all of it.
    return this.#blocks.arrival();
  }

  /** {@linkcode BlockReader.ready}. */
  async ready(signal: AbortSignal): Promise<boolean> {
    return this.#chunk.length > 0 || await this.#blocks.ready(signal);
  }

  /** Gives the stream up, for reading on in blocks from what was not used. */
  detach(): BlockReader {
    this.#blocks.putBack(this.#chunk);
    this.#chunk = EMPTY;
    return this.#blocks;
  }

  /** Tells the writer that nothing more will be read. Never rejects. */
  async cancel(reason?: unknown): Promise<void> {
    this.#chunk = EMPTY;
    await this.#blocks.cancel(reason);
  }
}

/** The parts as one array. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
