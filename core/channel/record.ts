/**
 * The record layer's wire form, end to end between service and device over one dialled stream
 * (docs/PROTOCOL.md, "Records"):
 *
 *     u8 type | u24 length (big-endian) | length bytes of payload
 *
 *     0 DATA   payload: 1 to 262,144 bytes of the application's
 *     1 FIN    payload: u64 bytes sent in this direction in all
 *     2 RESET  payload: u16 code, then 0 to 256 bytes of UTF-8 text
 *     3 ACK    payload: u64 bytes received, u64 limit of bytes that may be sent in all
 *
 * The high bit of the type (`BLOCKED`, DATA alone) says that this record used the last of the limit.
 */

import { TunnelError } from "../errors.ts";

export const RecordType = { data: 0, fin: 1, reset: 2, ack: 3 } as const;

/** On a DATA record: the sender has no more credit. */
export const BLOCKED = 0x80;

export const HEADER_LENGTH = 4;
/** Bytes of application data in one DATA record, at most. */
export const MAX_DATA = 256 * 1024;
const MAX_CONTROL = 2 + 256;

/** A record as received; `payload` stays valid. */
export interface Record {
  readonly type: number;
  readonly blocked: boolean;
  readonly payload: Uint8Array;
}

export function encodeData(payload: Uint8Array, blocked: boolean): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(HEADER_LENGTH + payload.length);
  writeHeader(record, RecordType.data | (blocked ? BLOCKED : 0), payload.length);
  record.set(payload, HEADER_LENGTH);
  return record;
}

/** @param sent bytes of application data sent before it */
export function encodeFin(sent: number): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(HEADER_LENGTH + 8);
  writeHeader(record, RecordType.fin, 8);
  new DataView(record.buffer).setBigUint64(HEADER_LENGTH, BigInt(sent));
  return record;
}

export function encodeReset(code: number, reason: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(reason).subarray(0, 256);
  const record = new Uint8Array(HEADER_LENGTH + 2 + text.length);
  writeHeader(record, RecordType.reset, 2 + text.length);
  new DataView(record.buffer).setUint16(HEADER_LENGTH, code);
  record.set(text, HEADER_LENGTH + 2);
  return record;
}

export function encodeAck(received: number, limit: number): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(HEADER_LENGTH + 16);
  writeHeader(record, RecordType.ack, 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(HEADER_LENGTH, BigInt(received));
  view.setBigUint64(HEADER_LENGTH + 8, BigInt(limit));
  return record;
}

/** @throws {TunnelError} `protocol` */
export function decodeFin(payload: Uint8Array): number {
  return readU64(payload, 0);
}

/** @throws {TunnelError} `protocol` */
export function decodeAck(payload: Uint8Array): { received: number; limit: number } {
  return { received: readU64(payload, 0), limit: readU64(payload, 8) };
}

export function decodeReset(payload: Uint8Array): { code: number; reason: string } {
  return {
    code: payload[0]! << 8 | payload[1]!,
    reason: new TextDecoder().decode(payload.subarray(2)),
  };
}

/**
 * Cuts a byte sequence that arrives in arbitrary chunks into records. A record that lies within one
 * chunk is not copied; it then shares the chunk's memory.
 */
export class RecordParser {
  /** The start of a record that is not whole yet, with room for all of it once that is known. */
  #partial: Uint8Array = new Uint8Array(HEADER_LENGTH);
  #filled = 0;

  /** True between two records: the only place where a stream may end. */
  get idle(): boolean {
    return this.#filled === 0;
  }

  /** @throws {TunnelError} `protocol` on an unknown type or a length out of its range */
  *push(chunk: Uint8Array): Generator<Record> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#filled === 0 && chunk.length - at >= HEADER_LENGTH) {
        const end = at + HEADER_LENGTH + readLength(chunk, at);
        if (end <= chunk.length) {
          yield toRecord(chunk.subarray(at, end));
          at = end;
          continue;
        }
      }
      at += this.#collect(chunk.subarray(at));
      if (this.#filled >= HEADER_LENGTH && this.#filled === this.#partial.length) {
        const record = toRecord(this.#partial);
        this.#partial = new Uint8Array(HEADER_LENGTH);
        this.#filled = 0;
        yield record;
      }
    }
  }

  /** Takes what belongs to the record under way; says how many bytes that were. */
  #collect(chunk: Uint8Array): number {
    let used = this.#fill(chunk);
    if (this.#filled === HEADER_LENGTH && this.#partial.length === HEADER_LENGTH) {
      const whole = new Uint8Array(HEADER_LENGTH + readLength(this.#partial, 0));
      whole.set(this.#partial);
      this.#partial = whole;
      used += this.#fill(chunk.subarray(used));
    }
    return used;
  }

  #fill(chunk: Uint8Array): number {
    const part = chunk.subarray(0, this.#partial.length - this.#filled);
    this.#partial.set(part, this.#filled);
    this.#filled += part.length;
    return part.length;
  }
}

function toRecord(bytes: Uint8Array): Record {
  return {
    type: bytes[0]! & ~BLOCKED,
    blocked: (bytes[0]! & BLOCKED) !== 0,
    payload: bytes.subarray(HEADER_LENGTH),
  };
}

function writeHeader(record: Uint8Array, type: number, length: number): void {
  record[0] = type;
  record[1] = length >>> 16;
  record[2] = length >>> 8;
  record[3] = length;
}

/** The checked length of the record whose header begins at `at`. */
function readLength(bytes: Uint8Array, at: number): number {
  const type = bytes[at]!;
  const length = bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!;
  const [least, most] = lengths(type);
  if (length < least || length > most) {
    throw malformed(
      most === 0
        ? `a record of unknown type ${type}`
        : `a record of type ${type} has ${length} bytes`,
    );
  }
  return length;
}

function lengths(type: number): [least: number, most: number] {
  switch (type) {
    case RecordType.data:
    case RecordType.data | BLOCKED:
      return [1, MAX_DATA];
    case RecordType.fin:
      return [8, 8];
    case RecordType.reset:
      return [2, MAX_CONTROL];
    case RecordType.ack:
      return [16, 16];
    default:
      return [1, 0];
  }
}

function readU64(payload: Uint8Array, at: number): number {
  const value = new DataView(payload.buffer, payload.byteOffset).getBigUint64(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed("a count is out of range");
  return Number(value);
}

function malformed(state: string): TunnelError {
  return new TunnelError("protocol", {
    action: "read the channel",
    state,
    remedy: "check that both ends run versions that go together",
  });
}
