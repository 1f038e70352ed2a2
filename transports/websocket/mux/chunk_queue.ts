/** Received bytes that nobody has asked for yet. */

/** Bytes set aside for small payloads, so that a flood of them does not cost an object each. */
const SMALL = 4 * 1024;
/** Bytes of a block that is used again: room for any payload. */
const BLOCK = 64 * 1024;
/** Payloads of fewer bytes get a block of their own size: what is held stays near what came. */
const LARGE = BLOCK / 2;
/** Blocks kept for all sessions of the process together, 1 MiB. */
const MAX_SPARES = 16;

const spares: Uint8Array[] = [];

interface Chunk {
  readonly bytes: Uint8Array;
  taken: number;
  filled: number;
}

/**
 * A queue of copies. What it holds is at most about twice the bytes in it, whatever their pieces:
 * small ones share a block. Large blocks are used again, because a fresh one for each payload has
 * the garbage collector run more than everything else.
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
    const bytes = block(payload.length);
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
    for (const chunk of this.#chunks) if (chunk) recycle(chunk.bytes);
    this.#chunks = [];
    this.#head = 0;
  }

  #drop(chunk: Chunk): void {
    recycle(chunk.bytes);
    this.#chunks[this.#head++] = undefined;
    // Moving the rest on only now and then keeps taking one a matter of constant time.
    if (this.#head === this.#chunks.length || this.#head >= 64) {
      this.#chunks = this.#chunks.slice(this.#head);
      this.#head = 0;
    }
  }
}

function block(length: number): Uint8Array {
  if (length <= LARGE || length > BLOCK) return new Uint8Array(Math.max(length, SMALL));
  return spares.pop() ?? new Uint8Array(BLOCK);
}

function recycle(bytes: Uint8Array): void {
  if (bytes.length === BLOCK && spares.length < MAX_SPARES) spares.push(bytes);
}
