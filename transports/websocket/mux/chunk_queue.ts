/** Received bytes that nobody has asked for yet. */

/** Bytes set aside for small payloads, so that a flood of them does not cost an object each. */
const SMALL = 4 * 1024;

/**
 * A queue of copies. What it holds is at most about twice the bytes in it, whatever their pieces:
 * small ones share a buffer.
 */
export class ChunkQueue {
  #chunks: ({ bytes: Uint8Array; filled: number } | undefined)[] = [];
  #head = 0;

  get empty(): boolean {
    return this.#head === this.#chunks.length;
  }

  push(payload: Uint8Array): void {
    const last = this.#chunks.at(-1);
    if (last && last.bytes.length - last.filled >= payload.length) {
      last.bytes.set(payload, last.filled);
      last.filled += payload.length;
      return;
    }
    const bytes = new Uint8Array(Math.max(payload.length, SMALL));
    bytes.set(payload);
    this.#chunks.push({ bytes, filled: payload.length });
  }

  /** The oldest bytes, the taker's to keep. */
  shift(): Uint8Array | undefined {
    const chunk = this.#chunks[this.#head];
    if (!chunk) return undefined;
    this.#chunks[this.#head++] = undefined;
    // Moving the rest on only now and then keeps taking one a matter of constant time.
    if (this.#head === this.#chunks.length || this.#head >= 64) {
      this.#chunks = this.#chunks.slice(this.#head);
      this.#head = 0;
    }
    return chunk.bytes.subarray(0, chunk.filled);
  }

  clear(): void {
    this.#chunks = [];
    this.#head = 0;
  }
}
