/** Reading a stream in blocks without an allocation for each, where the stream can do that. */

import { BLOCK, giveBlock, takeBlock } from "./blocks.ts";

/**
 * Bytes that the first read takes at most. A read that waits holds its memory, so what says little
 * holds little: most streams at rest have a message or a keystroke now and then.
 */
const LEAST = 2 * 1024;
/** How much more the next read takes when one was full. */
const GROWTH = 8;
/** Reads that would have fitted into the least, after which the memory is that small again. */
const PATIENCE = 64;

/**
 * Reads whatever has come; a result is valid until the next read. It owns the stream's reader. Each
 * read takes up to 128 KiB once that much comes.
 */
export class BlockReader {
  readonly #readable: ReadableStream<Uint8Array>;
  #byob?: ReadableStreamBYOBReader;
  #plain?: ReadableStreamDefaultReader<Uint8Array>;
  /** Of the last read, and for the next one. */
  #buffer = NONE;
  #size = LEAST;
  #smallReads = 0;
  #first: Uint8Array | null = null;
  #received = 0;

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#readable = readable;
    this.#lock();
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
      const value = this.#plain ? await this.#readChunk() : await this.#readInto();
      if (value === null) return null;
      this.#received += value.length;
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
    // A read cannot be taken back, but a reader can: the stream keeps what it has not handed over.
    const stop = () => {
      (this.#byob ?? this.#plain)!.releaseLock();
      this.#lock();
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      this.#first = await this.read();
      return this.#first !== null;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Tells the writer that nothing more will be read. Never rejects. */
  async cancel(reason?: unknown): Promise<void> {
    this.#first = null;
    try {
      await (this.#byob ?? this.#plain)!.cancel(reason);
    } catch {
      // The stream has failed already: there is nobody left to tell.
    }
  }

  #lock(): void {
    try {
      this.#byob = this.#readable.getReader({ mode: "byob" });
    } catch (cause) {
      // A stream of chunks, not of bytes, says so with a TypeError.
      if (!(cause instanceof TypeError) || this.#readable.locked) throw cause;
      this.#plain = this.#readable.getReader();
    }
  }

  async #readChunk(): Promise<Uint8Array | null> {
    const { value, done } = await this.#plain!.read();
    return done ? null : value;
  }

  async #readInto(): Promise<Uint8Array | null> {
    const buffer = this.#fit();
    this.#buffer = NONE;
    const { value, done } = await this.#byob!.read(buffer);
    // The memory itself moves through the stream and comes back with what was read.
    if (value) this.#buffer = new Uint8Array(value.buffer);
    if (done) {
      this.#release();
      return null;
    }
    this.#note(value.length);
    return value;
  }

  /** Memory of the right size for the next read: that of the last one if it will do. */
  #fit(): Uint8Array<ArrayBuffer> {
    if (this.#buffer.length === this.#size) return this.#buffer;
    this.#release();
    return this.#size === BLOCK ? takeBlock() : new Uint8Array(this.#size);
  }

  #release(): void {
    if (this.#buffer.length > 0) giveBlock(this.#buffer);
    this.#buffer = NONE;
  }

  #note(length: number): void {
    if (length === this.#size) this.#size = Math.min(this.#size * GROWTH, BLOCK);
    this.#smallReads = length <= LEAST ? this.#smallReads + 1 : 0;
    if (this.#smallReads < PATIENCE) return;
    this.#smallReads = 0;
    this.#size = LEAST;
  }
}

const NONE = new Uint8Array(0);
