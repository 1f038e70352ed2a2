/**
 * Memory that is used again: a fresh block for every 128 KiB that pass has the garbage collector run
 * more than everything else on the hot path.
 */

/** Bytes of a block. */
export const BLOCK = 128 * 1024;
/** Blocks kept for the whole process, 4 MiB. */
const MAX_SPARES = 32;

const spares: Uint8Array<ArrayBuffer>[] = [];

/** A block of {@linkcode BLOCK} bytes, whatever they hold. */
export function takeBlock(): Uint8Array<ArrayBuffer> {
  return spares.pop() ?? new Uint8Array(BLOCK);
}

/** Gives a block back; whoever does so has dropped every view of it. */
export function giveBlock(bytes: Uint8Array<ArrayBuffer>): void {
  if (bytes.length === BLOCK && spares.length < MAX_SPARES) spares.push(bytes);
  else freeNow(bytes);
}

/**
 * Room for `length` bytes, `least` or more: of its own size while it is small, so that what is held
 * stays near what came, else a block. {@linkcode giveBlock} takes either.
 */
export function takeRoom(length: number, least: number): Uint8Array<ArrayBuffer> {
  if (length < BLOCK / 2 || length > BLOCK) return new Uint8Array(Math.max(length, least));
  return takeBlock();
}

/** Bytes below which freeing at once costs more than it saves. */
const LEAST_FREED = 16 * 1024;

/**
 * Frees memory now instead of when the garbage collector runs, which it does the more often the more
 * such memory waits for it. For arrays that came from the platform, one for each call, and that
 * nobody looks at any more; one that is only a part of its memory is left alone.
 */
export function freeNow(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes;
  if (byteLength < LEAST_FREED || buffer.byteLength !== byteLength) return;
  // Moving the memory to an owner of nothing is the one way to give it back; Node 20 has none.
  (buffer as ArrayBuffer).transfer?.(0);
}
