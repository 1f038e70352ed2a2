/** The sending direction of a channel: every byte from when it was written until it is acknowledged. */

import { giveBlock, takeRoom } from "../blocks.ts";

/** Bytes set aside for small writes, so that a flood of them does not cost an object each. */
const SMALL = 4 * 1024;

interface Piece {
  /** The position of its first byte. */
  readonly start: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  filled: number;
}

/** Holds copies of bytes by their position in the direction, from `start` up to `end`. */
export class ReplayBuffer {
  #pieces: Piece[] = [];
  #start = 0;
  #end = 0;

  /** The position of the oldest byte held. */
  get start(): number {
    return this.#start;
  }

  /** The position behind the newest. */
  get end(): number {
    return this.#end;
  }

  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      let piece = this.#pieces.at(-1);
      if (!piece || piece.filled === piece.bytes.length) {
        piece = { start: this.#end, bytes: takeRoom(bytes.length - at, SMALL), filled: 0 };
        this.#pieces.push(piece);
      }
      const part = bytes.subarray(at, at + piece.bytes.length - piece.filled);
      piece.bytes.set(part, piece.filled);
      piece.filled += part.length;
      this.#end += part.length;
      at += part.length;
    }
  }

  /** `length` bytes from `position` on, which are held, in pieces. Valid until they are released. */
  slice(position: number, length: number): Uint8Array<ArrayBuffer>[] {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (let i = this.#find(position); length > 0; i++) {
      const { start, bytes, filled } = this.#pieces[i]!;
      const from = position - start;
      const part = bytes.subarray(from, Math.min(filled, from + length));
      parts.push(part);
      position += part.length;
      length -= part.length;
    }
    return parts;
  }

  /** Forgets everything in front of `position`. */
  release(position: number): void {
    this.#start = Math.max(this.#start, position);
    let gone = 0;
    for (const { start, filled, bytes } of this.#pieces) {
      // The newest piece may have room left, and is kept for what comes next unless it is large.
      const isLast = gone === this.#pieces.length - 1;
      if (start + filled > position || (isLast && bytes.length <= SMALL)) break;
      giveBlock(bytes);
      gone++;
    }
    if (gone > 0) this.#pieces.splice(0, gone);
  }

  clear(): void {
    for (const { bytes } of this.#pieces) giveBlock(bytes);
    this.#pieces = [];
    this.#start = this.#end;
  }

  /** The index of the piece that holds `position`; there is one. */
  #find(position: number): number {
    let low = 0;
    for (let high = this.#pieces.length - 1; low < high;) {
      const middle = (low + high + 1) >> 1;
      if (this.#pieces[middle]!.start <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
