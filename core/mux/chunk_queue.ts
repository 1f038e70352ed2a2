/** Received bytes that nobody has asked for yet. */

import { giveBlock, takeRoom } from "../blocks.ts";

/** Bytes set aside for small payloads, so that a flood of them does not cost an object each. */
const SMALL = 4 * 1024;
interface Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  taken: number;
  filled: number;
}

/**
 * A queue of copies. What it holds is at most about twice the bytes in it, whatever their pieces:
 * small ones share a buffer.
 */
export class ChunkQueue {
  #chunks: (Chunk | undefined)[] = [];
  #head = 0;

  get empty(): boolean {
    return this.#head === this.#chunks.length;
  }

  /** Bytes that are there in one piece. */
  get next(): number {
    const chunk = this.#chunks[this.#head];
    return chunk ? chunk.filled - chunk.taken : 0;
  }

  push(payload: Uint8Array): void {
    const last = this.#chunks.at(-1);
    if (last && last.bytes.length - last.filled >= payload.length) {
      last.bytes.set(payload, last.filled);
      last.filled += payload.length;
      return;
    }
    const bytes = takeRoom(payload.length, SMALL);
    bytes.set(payload);
    this.#chunks.push({ bytes, taken: 0, filled: payload.length });
  }

  /** Moves the oldest bytes to `target`; says how many that were. */
  take(target: Uint8Array): number {
    let moved = 0;
    for (let chunk; moved < target.length && (chunk = this.#chunks[this.#head]);) {
      const end = Math.min(chunk.filled, chunk.taken + target.length - moved);
      target.set(chunk.bytes.subarray(chunk.taken, end), moved);
      moved += end - chunk.taken;
      chunk.taken = end;
      if (end === chunk.filled) this.#drop(chunk);
    }
    return moved;
  }

  clear(): void {
    for (const chunk of this.#chunks) if (chunk) giveBlock(chunk.bytes);
    this.#chunks = [];
    this.#head = 0;
  }

  #drop(chunk: Chunk): void {
    giveBlock(chunk.bytes);
    this.#chunks[this.#head++] = undefined;
    // Moving the rest on only now and then keeps taking one a matter of constant time.
    if (this.#head === this.#chunks.length || this.#head >= 64) {
      this.#chunks = this.#chunks.slice(this.#head);
      this.#head = 0;
    }
  }
}
