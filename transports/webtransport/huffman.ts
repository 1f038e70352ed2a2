/**
 * The Huffman code of HTTP header fields (RFC 7541, appendix B), decoding alone: nothing says that one
 * must encode. The code is canonical, so the lengths of its 257 codes are all there is to know of it.
 */

import { Http3Code, Http3Error } from "./errors.ts";

/** Bits of the code of each byte, then of the end of string. */
// deno-fmt-ignore
export const HUFFMAN_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const END_OF_STRING = 256;
/** Bits of the longest code. */
const LONGEST = 30;
/** Bits of padding at most (RFC 7541, section 5.2). */
const MAX_PADDING = 7;

/** Symbols in the order of their codes. */
const SYMBOLS = HUFFMAN_LENGTHS.map((_, symbol) => symbol).sort((a, b) =>
  HUFFMAN_LENGTHS[a]! - HUFFMAN_LENGTHS[b]! || a - b
);
/** For each length: its first code, how many there are, and where they begin in SYMBOLS. */
const ROWS = rows();

/**
 * @returns one byte per character
 * @throws {Http3Error} when it is no such text (RFC 7541, section 5.2)
 */
export function decodeHuffman(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  // No code is shorter than five bits.
  const decoded = new Uint8Array(Math.floor(bytes.length * 8 / 5));
  let count = 0;
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code << 1 | byte >> bit & 1;
      const { first, size, start } = ROWS[++length]!;
      if (code - first >= size) {
        if (length === LONGEST) throw malformed("it has no such code");
        continue;
      }
      const symbol = SYMBOLS[start + code - first]!;
      if (symbol === END_OF_STRING) throw malformed("the end of string is in it");
      decoded[count++] = symbol;
      code = length = 0;
    }
  }
  if (length > MAX_PADDING || code !== (1 << length) - 1) throw malformed("it is padded wrongly");
  return decoded.subarray(0, count);
}

function rows(): { first: number; size: number; start: number }[] {
  const made = [{ first: 0, size: 0, start: 0 }];
  for (let length = 1; length <= LONGEST; length++) {
    const { first, size, start } = made[length - 1]!;
    const many = HUFFMAN_LENGTHS.filter((other) => other === length).length;
    made.push({ first: (first + size) << 1, size: many, start: start + size });
  }
  return made;
}

function malformed(state: string): Http3Error {
  return new Http3Error(Http3Code.qpackDecompressionFailed, `a Huffman-coded text: ${state}`);
}
