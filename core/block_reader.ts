/** Reading a stream in blocks without an allocation for each, where the stream can do that. */

import { BLOCK } from "./blocks.ts";
import { DirectSource, type Source, sourceOf } from "./block_source.ts";
import { untilAborted } from "./deadline.ts";
import { LaneSource } from "./lane_source.ts";
import type { Stream } from "./transport.ts";

/**
 * Bytes that the first read takes at most. A read that waits holds its memory, so what says little
 * holds little: most streams at rest have a message or a keystroke now and then.
 */
const LEAST = 1024;
/** The same of a stream that is waited for, maybe for as long as its session lasts. */
const AT_REST = 256;
/** How much more the next read takes when one was full. */
const GROWTH = 8;
/** Reads that would have fitted into the least, after which the memory is that small again. */
const PATIENCE = 64;

/**
 * Reads whatever has come; a result is valid until the next read. It owns the stream's reader. Each
 * read takes up to 128 KiB once that much comes.
 */
export class BlockReader {
  readonly #source: Source;
  #size = LEAST;
  #smallReads = 0;
  #first: Uint8Array | null = null;
  #received = 0;
  /** A read that a {@linkcode BlockReader.ready} has left under way. */
  #pending?: Promise<Uint8Array | null>;

  constructor(stream: Pick<Stream, "readable" | "direct" | "lanes">) {
    // A stream that has both makes its web stream when that is asked for.
    const { direct, lanes } = stream;
    const source = direct ? new DirectSource(direct) : sourceOf(stream.readable);
    this.#source = lanes ? new LaneSource(source, lanes) : source;
  }

  /** Bytes that have come. */
  get received(): number {
    return this.#received;
  }

  /** Null at the end of the stream. */
  async read(): Promise<Uint8Array | null> {
    const first = this.#first;
    this.#first = null;
    if (first) return first;
    for (;;) {
      const value = await (this.#pending ??= this.#source.read(this.#size));
      this.#pending = undefined;
      if (value === null) return null;
      this.#note(value.length);
      if (value.length > 0) return value;
    }
  }

  /** Has the next read give this, which is what nobody has used of the last one. */
  putBack(rest: Uint8Array): void {
    this.#first = rest.length > 0 ? rest : null;
  }

  /**
   * Waits until there is something to read, which stays to be read: true for bytes, false for the end
   * of the stream. Nothing else may read meanwhile; when the signal fires it may again.
   *
   * @throws the stream's error, or anything once the signal has fired
   */
  async ready(signal: AbortSignal): Promise<boolean> {
    if (this.#first) return true;
    this.#pending ??= this.#source.read(this.#size);
    return await untilAborted(this.#pending, signal, "wait for bytes") !== null;
  }

  /**
   * Settles when there is something to read, or nothing more: how it went is for the next read to say.
   * For a stream that waits for long: it is one promise, where a read is several, and little memory.
   */
  arrival(): Promise<unknown> {
    if (this.#first) return Promise.resolve();
    this.#shrink(AT_REST);
    return this.#pending ??= this.#source.read(this.#size);
  }

  /** Has the next read take the least again: what comes after this may be long in coming. */
  rest(): void {
    this.#shrink(LEAST);
  }

  /** Tells the writer that nothing more will be read. Never rejects. */
  async cancel(reason?: unknown): Promise<void> {
    this.#first = null;
    try {
      await this.#source.cancel(reason);
    } catch {
      // The stream has failed already: there is nobody left to tell.
    }
  }

  #note(length: number): void {
    this.#received += length;
    if (length === this.#size) this.#size = Math.min(this.#size * GROWTH, BLOCK);
    this.#smallReads = length <= LEAST ? this.#smallReads + 1 : 0;
    if (this.#smallReads >= PATIENCE) this.rest();
  }

  #shrink(size: number): void {
    this.#smallReads = 0;
    this.#size = size;
  }
}
