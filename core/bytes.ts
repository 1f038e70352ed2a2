/** Reading exact amounts from a stream of chunks, and small helpers on bytes. */

import { TunnelError } from "./errors.ts";

const EMPTY = new Uint8Array(0);

/**
 * Reads exact numbers of bytes from a readable stream and gives back what is left over. It owns the
 * stream's reader from construction until {@linkcode ByteReader.cancel} or the end.
 */
export class ByteReader {
  readonly #readable: ReadableStream<Uint8Array>;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #chunk: Uint8Array = EMPTY;
  #received = 0;

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#readable = readable;
    this.#reader = readable.getReader();
  }

  /** Bytes that have come, whether they were asked for or not. */
  get received(): number {
    return this.#received;
  }

  /** The next chunk, whatever its size; null at the end. */
  async read(): Promise<Uint8Array | null> {
    if (this.#chunk.length > 0) {
      const chunk = this.#chunk;
      this.#chunk = EMPTY;
      return chunk;
    }
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) return null;
      this.#received += value.length;
      if (value.length > 0) return value;
    }
  }

  /**
   * Exactly `length` bytes; null when the stream ends before the first of them. The result may
   * share memory with what was read, and stays valid.
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

  /** Gives back the end of what was read last, to be read again. */
  unread(rest: Uint8Array): void {
    this.#chunk = rest;
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
      this.#reader.releaseLock();
      this.#reader = this.#readable.getReader();
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      for (;;) {
        const { value, done } = await this.#reader.read();
        if (done) return false;
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
    this.#reader.releaseLock();
    return rest;
  }

  /** Tells the writer that nothing more will be read. Never rejects. */
  async cancel(reason?: unknown): Promise<void> {
    this.#chunk = EMPTY;
    try {
      await this.#reader.cancel(reason);
    } catch {
      // The stream has failed already: there is nobody left to tell.
    }
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
