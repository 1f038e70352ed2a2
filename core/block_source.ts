/** The ways to read a stream in blocks, each into memory that is used again. */

import { BLOCK, giveBlock, takeBlock } from "./blocks.ts";
import type { DirectStream } from "./transport.ts";

/** A way to read a stream. */
export interface Source {
  /** Up to about `size` bytes, valid until the next call; null at the end. */
  read(size: number): Promise<Uint8Array | null>;
  cancel(reason: unknown): Promise<void> | void;
}

export class DirectSource implements Source {
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
export class ByteSource implements Source {
  readonly #reader: ReadableStreamBYOBReader;
  #memory = NONE;

  constructor(reader: ReadableStreamBYOBReader) {
    this.#reader = reader;
  }

  /** @param most bytes, at most `size`: there is memory for that much, whatever is taken now */
  async read(size: number, most = size): Promise<Uint8Array | null> {
    const memory = fit(this.#memory, size);
    this.#memory = NONE;
    const { value, done } = await this.#reader.read(memory.subarray(0, most));
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

export function sourceOf(readable: ReadableStream<Uint8Array>): Source {
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
