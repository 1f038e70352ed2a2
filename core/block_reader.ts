/** Reading a stream in large blocks without an allocation for each, where the stream can do that. */

/** Bytes that one read takes at most. */
const BLOCK = 128 * 1024;

/** Reads whatever has come; a result is valid until the next read. It owns the stream's reader. */
export class BlockReader {
  readonly #byob?: ReadableStreamBYOBReader;
  readonly #plain?: ReadableStreamDefaultReader<Uint8Array>;
  #buffer = new ArrayBuffer(0);
  #first: Uint8Array | null;

  /** @param first what was read of the stream before; given out first */
  constructor(readable: ReadableStream<Uint8Array>, first: Uint8Array) {
    this.#first = first.length > 0 ? first : null;
    try {
      this.#byob = readable.getReader({ mode: "byob" });
    } catch (cause) {
      // A stream of chunks, not of bytes, says so with a TypeError.
      if (!(cause instanceof TypeError) || readable.locked) throw cause;
      this.#plain = readable.getReader();
    }
  }

  /** Null at the end of the stream. */
  async read(): Promise<Uint8Array | null> {
    const first = this.#first;
    this.#first = null;
    if (first) return first;
    for (;;) {
      const value = this.#plain ? await this.#readChunk() : await this.#readInto();
      if (value === null || value.length > 0) return value;
    }
  }

  /** Tells the writer that nothing more will be read. Never rejects. */
  async cancel(reason?: unknown): Promise<void> {
    try {
      await (this.#byob ?? this.#plain)!.cancel(reason);
    } catch {
      // The stream has failed already: there is nobody left to tell.
    }
  }

  async #readChunk(): Promise<Uint8Array | null> {
    const { value, done } = await this.#plain!.read();
    return done ? null : value;
  }

  async #readInto(): Promise<Uint8Array | null> {
    if (this.#buffer.byteLength === 0) this.#buffer = new ArrayBuffer(BLOCK);
    const { value, done } = await this.#byob!.read(new Uint8Array(this.#buffer));
    // The buffer itself moves through the stream and comes back with what was read.
    if (value) this.#buffer = value.buffer;
    return done ? null : value;
  }
}
