/** An input as it may come off a network: in pieces of any size. */

import { Random } from "../random.ts";

/** The pieces; the same input is always cut in the same places. */
export function pieces(input: Uint8Array): Uint8Array[] {
  const random = new Random(input.reduce((sum, byte) => Math.imul(sum, 31) + byte | 0, 7));
  const most = random.pick([1, 7, 300, 70_000]);
  const cut: Uint8Array[] = [];
  // A piece for each byte of a long input would only cost time.
  const least = Math.ceil(input.length / 500);
  for (let at = 0; at < input.length;) {
    const length = Math.max(least, 1 + random.below(most));
    cut.push(input.slice(at, at + length));
    at += length;
  }
  return cut;
}

/** The pieces, one per pull, then the end. */
export function chunked(input: Uint8Array): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces(input));
}

/** The same as a connection that reads into memory of the caller's. */
export function connOf(input: Uint8Array): { read(target: Uint8Array): Promise<number | null> } {
  const queue = pieces(input);
  return {
    read(target) {
      const next = queue[0];
      if (!next) return Promise.resolve(null);
      // A read for no bytes would be one for ever.
      if (target.length === 0) return Promise.reject(new Error("a read without room"));
      const part = next.subarray(0, target.length);
      target.set(part);
      if (part.length === next.length) queue.shift();
      else queue[0] = next.subarray(part.length);
      return Promise.resolve(part.length);
    },
  };
}
