/** Variable-length integers (RFC 9000, section 16): one, two, four or eight bytes, 62 bits at most. */

/** A number and where it ended. */
export interface Varint {
  readonly value: bigint;
  /** The offset behind it. */
  readonly end: number;
}

/** Bytes of an integer, from its first byte. */
export function varintLength(first: number): number {
  return 1 << (first >> 6);
}

/** The integer at an offset; null when the bytes end before it does. */
export function decodeVarint(bytes: Uint8Array, at = 0): Varint | null {
  const first = bytes[at];
  if (first === undefined) return null;
  const end = at + varintLength(first);
  if (end > bytes.length) return null;
  let value = BigInt(first & 0x3f);
  for (let i = at + 1; i < end; i++) value = value << 8n | BigInt(bytes[i]!);
  return { value, end };
}

/** The shortest form. @throws {RangeError} for a number that is negative or has more than 62 bits */
export function encodeVarint(value: number | bigint): Uint8Array<ArrayBuffer> {
  const number = BigInt(value);
  if (number < 0n || number >= 1n << 62n) throw new RangeError(`${value} is no varint`);
  const form = number < 1n << 6n ? 0 : number < 1n << 14n ? 1 : number < 1n << 30n ? 2 : 3;
  const bytes = new Uint8Array(1 << form);
  for (let i = bytes.length - 1, rest = number; i >= 0; i--, rest >>= 8n) {
    bytes[i] = Number(rest & 0xffn);
  }
  bytes[0]! |= form << 6;
  return bytes;
}
