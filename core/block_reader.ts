/** Reading a stream in blocks without an allocation for each, where the stream can do that. */

import { BLOCK, giveBlock, takeBlock } from "./blocks.ts";
import { untilAborted } from "./deadline.ts";
import type { DirectStream, Stream } from "./transport.ts";

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

  constructor(stream: Pick<Stream, "readable" | "direct">) {
    // A stream that has both makes its web stream when that is asked for.
    const { direct } = stream;
    this.#source = direct ? new DirectSource(direct) : sourceOf(stream.readable);
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

/** A way to read a stream. */
interface Source {
  /** Up to about `size` bytes, valid until the next call; null at the end. */
  read(size: number): Promise<Uint8Array | null>;
  cancel(reason: unknown): Promise<void> | void;
}

class DirectSource implements Source {
  readonly #stream: DirectStream;
  #memory = NONE;

  constructor(stream: DirectStream) {
    this.#stream = stream;
  }

  async read(size: number): Promise<Uint8Array | null> {
    const memory = this.#memory = fit(this.#memory, size);
    const count = await this.#stream.read(memory);
    if (count !== null) return memory.subarray(0, count);
    this.#memory = drop(memory);
    return null;
  }

  cancel(): void {
    this.#stream.cancel();
  }
}

/** Brings its own memory, which moves through the stream and comes back with what was read. */
class ByteSource implements Source {
  readonly #reader: ReadableStreamBYOBReader;
  #memory = NONE;

  constructor(reader: ReadableStreamBYOBReader) {
    this.#reader = reader;
  }

  async read(size: number): Promise<Uint8Array | null> {
    const memory = fit(this.#memory, size);
    this.#memory = NONE;
    const { value, done } = await this.#reader.read(memory);
    if (value) this.#memory = new Uint8Array(value.buffer);
    if (!done) return value;
    this.#memory = drop(this.#memory);
    return null;
  }

  cancel(reason: unknown): Promise<void> {
    return this.#reader.cancel(reason);
  }
}

class ChunkSource implements Source {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
  }

  async read(): Promise<Uint8Array | null> {
    const { value, done } = await this.#reader.read();
    return done ? null : value;
  }

  cancel(reason: unknown): Promise<void> {
    return this.#reader.cancel(reason);
  }
}

function sourceOf(readable: ReadableStream<Uint8Array>): Source {
  try {
    return new ByteSource(readable.getReader({ mode: "byob" }));
  } catch (cause) {
    // A stream of chunks, not of bytes, says so with a TypeError.
    if (!(cause instanceof TypeError) || readable.locked) throw cause;
    return new ChunkSource(readable.getReader());
  }
}

/** Memory of `size` bytes: that of the last read if it will do. */
function fit(memory: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  if (memory.length === size) return memory;
  drop(memory);
  return size === BLOCK ? takeBlock() : new Uint8Array(size);
}

function drop(memory: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (memory.length > 0) giveBlock(memory);
  return NONE;
}

const NONE = new Uint8Array(0);
