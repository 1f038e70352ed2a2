/** Bytes that a test sends and finds again: a sequence that its seed and its length tell. */

import type { Duplex } from "../core/duplex.ts";
import { Random } from "./random.ts";

/** Bytes of the sequence that are written at once, at most. */
const MOST = 200_000;

/** Writes `total` bytes of the seed's sequence, in pieces of random sizes, and ends. */
export async function pour(to: Duplex, seed: number, total: number): Promise<void> {
  const random = new Random(seed);
  const sizes = new Random(seed + 1);
  for (let left = total; left > 0;) {
    const length = Math.min(left, 1 + sizes.below(sizes.below(4) ? 2_000 : MOST));
    await to.write(random.bytes(length));
    left -= length;
  }
  await to.closeWrite();
}

/** Reads to the end and compares; answers with the number of bytes. */
export async function drain(from: Duplex, seed: number): Promise<number> {
  const random = new Random(seed);
  let total = 0;
  for (let chunk; (chunk = await from.read()) !== null;) {
    const expected = random.bytes(chunk.length);
    const differs = chunk.findIndex((byte, i) => byte !== expected[i]);
    if (differs >= 0) throw new Error(`byte ${total + differs} differs`);
    total += chunk.length;
  }
  return total;
}
