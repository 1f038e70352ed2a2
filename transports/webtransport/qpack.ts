/**
 * Field sections (RFC 9204) without a dynamic table: its capacity is 0 each way, so that decoding
 * depends on nothing that came before. Encoded are literals alone; decoded is all that such a table
 * leaves room for, Huffman-coded texts included.
 */

import { concat } from "../../core/bytes.ts";
import { Http3Code, Http3Error } from "./errors.ts";
import { decodeHuffman } from "./huffman.ts";
import { STATIC_TABLE } from "./static_table.ts";

/** Bytes of a field section: as it is encoded, and as RFC 9114 counts it (section 4.2.2). */
export const MAX_SECTION = 16 * 1024;

/** A name in small letters, and its value; one byte per character. */
export type Field = readonly [name: string, value: string];

export function encodeFields(fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  // Required Insert Count 0, Base 0.
  const parts: Uint8Array[] = [new Uint8Array(2)];
  for (const [name, value] of fields) {
    // A literal with a literal name, neither Huffman-coded (section 4.5.6).
    parts.push(encodeInteger(0x20, 3, name.length), latin1(name));
    parts.push(encodeInteger(0x00, 7, value.length), latin1(value));
  }
  return concat(parts);
}

/** @throws {Http3Error} when it is malformed, needs a dynamic table, or is too large */
export function decodeFields(section: Uint8Array): Field[] {
  const reader = new SectionReader(section);
  if (reader.integer(8).value !== 0) throw failed("it needs the dynamic table");
  if (reader.integer(7).first & 0x80) throw failed("its Base is negative");
  const fields: Field[] = [];
  for (let size = 0; !reader.ended;) {
    const field = reader.field();
    size += field[0].length + field[1].length + 32;
    if (size > MAX_SECTION) {
      throw new Http3Error(Http3Code.excessiveLoad, "the fields are too many");
    }
    fields.push(field);
  }
  return fields;
}

class SectionReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** RFC 9204, section 4.5. */
  field(): Field {
    const first = this.#bytes[this.#at]!;
    if (first & 0x80) {
      this.#checkStatic(first & 0x40);
      return this.#entry(6);
    }
    if (first & 0x40) {
      this.#checkStatic(first & 0x10);
      const [name] = this.#entry(4);
      return [name, this.#text(7)];
    }
    this.#checkStatic(first & 0x20);
    return [this.#text(3), this.#text(7)];
  }

  /** An integer behind the flags of its first byte (RFC 7541, section 5.1). */
  integer(bits: number): { value: number; first: number } {
    const first = this.#byte();
    const most = 2 ** bits - 1;
    let value = first & most;
    if (value < most) return { value, first };
    for (let shift = 0;; shift += 7) {
      const byte = this.#byte();
      // Nothing here is as large as 2^28, so that is far enough.
      if (shift > 21) throw failed("a number is too large");
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return { value, first };
    }
  }

  #entry(bits: number): Field {
    const entry = STATIC_TABLE[this.integer(bits).value];
    if (!entry) throw failed("the static table has no such entry");
    return entry;
  }

  /** A text whose Huffman flag is above its length (section 4.1.2). */
  #text(bits: number): string {
    const { value: length, first } = this.integer(bits);
    const end = this.#at + length;
    if (end > this.#bytes.length) throw failed("a text is cut off");
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return fromLatin1(first & 1 << bits ? decodeHuffman(bytes) : bytes);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw failed("it is cut off");
    return byte;
  }

  #checkStatic(flag: number): void {
    if (!flag) throw failed("it refers to the dynamic table");
  }
}

function encodeInteger(flags: number, bits: number, value: number): Uint8Array {
  const most = 2 ** bits - 1;
  if (value < most) return Uint8Array.of(flags | value);
  const bytes = [flags | most];
  let rest = value - most;
  for (; rest >= 0x80; rest >>= 7) bytes.push(rest & 0x7f | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function fromLatin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function failed(state: string): Http3Error {
  return new Http3Error(Http3Code.qpackDecompressionFailed, `a field section: ${state}`);
}
