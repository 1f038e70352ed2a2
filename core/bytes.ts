/** Reading exact amounts from a stream of chunks, and small helpers on bytes. */

import { TunnelError } from "./errors.ts";

const EMPTY = new Uint8Array(0);

/**
 * Bytes of memory that a read brings at least. A session's control stream waits in a read for as long
 * as it lasts, and without memory from here the platform takes 64 KiB for that.
 */
const LEAST_READ = 1024;

/**
 * Reads exact numbers of bytes from a readable stream and gives back what is left over. It owns the
 * stream's reader from construction until {@linkcode ByteReader.cancel} or the end.
 */
export class ByteReader {
  readonly #readable: ReadableStream<Uint8Array>;
  #reader: Reader;
  #chunk: Uint8Array = EMPTY;
  #received = 0;

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#readable = readable;
    this.#reader = readerOf(readable);
  }

  /** Bytes that have come, whether they were asked for or not. */
  get received(): number {
    return this.#received;
  }

  /** The next chunk, whatever its size; null at the end. */
  async read(): Promise<Uint8Array | null> {
    if (this.#chunk.length > 0) return this.#take(this.#chunk.length);
    for (;;) {
      const value = await this.#next(LEAST_READ);
      if (value === null || value.length > 0) return value;
    }
  }

  /**
   * Exactly `length` bytes; null when the stream ends before the first of them. The result may
   * share memory with what was read, and stays valid.
   *
   * @throws {TunnelError} `reset` when the stream ends half-way
   */
  async readExactly(length: number): Promise<Uint8Array | null> {
    let whole: Uint8Array | undefined;
    for (let filled = 0;;) {
      const missing = length - filled;
      if (this.#chunk.length === 0) {
        const chunk = await this.#next(Math.max(missing, LEAST_READ));
        if (chunk === null && filled === 0) return null;
        if (chunk === null) {
          throw new TunnelError("reset", {
            action: "read",
            state: `the stream ended after ${filled} of ${length} bytes`,
          });
        }
        this.#chunk = chunk;
      }
      if (!whole && this.#chunk.length >= length) return this.#take(length);
      whole ??= new Uint8Array(length);
      const part = this.#take(Math.min(missing, this.#chunk.length));
      whole.set(part, filled);
      filled += part.length;
      if (filled === length) return whole;
    }
  }

  /**
   * Waits until there is something to read, which stays to be read: true for bytes, false for the end
   * of the stream. Nothing else may read meanwhile; when the signal fires it may again.
   *
   * @throws the stream's error, or anything once the signal has fired
   */
  async ready(signal: AbortSignal): Promise<boolean> {
    if (this.#chunk.length > 0) return true;
    // A read cannot be taken back, but a reader can: the stream keeps what it has not handed over.
    const stop = () => {
      this.#lock.releaseLock();
      this.#reader = readerOf(this.#readable);
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      for (;;) {
        const value = await this.#next(LEAST_READ);
        if (value === null) return false;
        if (value.length === 0) continue;
        this.#chunk = value;
        return true;
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Gives the stream up, and with it what was read of it but not used. */
  detach(): Uint8Array {
    const rest = this.#chunk;
    this.#chunk = EMPTY;
    this.#lock.releaseLock();
    return rest;
  }

  get #lock(): ReadableStreamGenericReader & { releaseLock(): void } {
    return this.#reader.byob ?? this.#reader.plain;
  }

  /** What comes next of the stream, in memory for `most` bytes if it takes any; null at the end. */
  async #next(most: number): Promise<Uint8Array | null> {
    const { byob, plain } = this.#reader;
    const { value, done } = await (byob ? byob.read(new Uint8Array(most)) : plain.read());
    if (done) return null;
    this.#received += value.length;
    return value;
  }

  /** Hands out what was read; what is used up is not kept, nor the memory around it. */
  #take(length: number): Uint8Array {
    const chunk = this.#chunk;
    this.#chunk = length < chunk.length ? chunk.subarray(length) : EMPTY;
    return chunk.subarray(0, length);
  }

  /** Tells the writer that nothing more will be read. Never rejects. */
  async cancel(reason?: unknown): Promise<void> {
    this.#chunk = EMPTY;
    try {
      await this.#lock.cancel(reason);
    } catch {
      // The stream has failed already: there is nobody left to tell.
    }
  }
}

type Reader =
  | { byob: ReadableStreamBYOBReader; plain?: undefined }
  | { byob?: undefined; plain: ReadableStreamDefaultReader<Uint8Array> };

/** A reader that brings its own memory, where the stream is one of bytes. */
function readerOf(readable: ReadableStream<Uint8Array>): Reader {
  try {
    return { byob: readable.getReader({ mode: "byob" }) };
  } catch (cause) {
    // A stream of chunks, not of bytes, says so with a TypeError.
    if (!(cause instanceof TypeError) || readable.locked) throw cause;
    return { plain: readable.getReader() };
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
