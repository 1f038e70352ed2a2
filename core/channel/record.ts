/**
 * Records: what service and device say to each other on a channel. On the wire a record is sealed
 * (path.ts); these are the plain bytes inside (docs/PROTOCOL.md, "Records"), numbers big-endian:
 *
 *     u8 type | body
 *
 *     0 DATA   u64 position of the first byte in this direction, then 1 to 130,944 bytes
 *     1 FIN    u64 bytes sent in this direction in all
 *     2 RESET  u16 code, then 0 to 256 bytes of UTF-8 text
 *     3 ACK    u64 bytes received, u64 limit of bytes that may be sent in all
 *     4 DONE   nothing: this end has everything, and knows that the peer has
 *
 * The high bit of the type (`BLOCKED`, DATA alone) says that this record used the last of the limit.
 */

import { TunnelError } from "../errors.ts";

export const RecordType = { data: 0, fin: 1, reset: 2, ack: 3, done: 4 } as const;

/** On a DATA record: the sender has no more credit. */
export const BLOCKED = 0x80;

/** Bytes in front of a DATA record's payload: type and position. */
export const DATA_HEADER = 9;
/**
 * Bytes of application data in one DATA record, at most: sealed, it fills one frame of the WebSocket
 * transport, and one block of memory. Half of it, which Noise would have as the most, costs a sixth
 * more CPU time of the whole chain (docs/ARCHITECTURE.md).
 */
export const MAX_DATA = 128 * 1024 - 128;
const MAX_REASON = 256;

/** A record as received. */
export type Record =
  | { readonly type: 0; readonly position: number; readonly blocked: boolean; data: Uint8Array }
  | { readonly type: 1; readonly total: number }
  | { readonly type: 2; readonly code: number; readonly reason: string }
  | { readonly type: 3; readonly received: number; readonly limit: number }
  | { readonly type: 4 };

/** The header of a DATA record; its payload follows. */
export function dataHeader(position: number, blocked: boolean): Uint8Array<ArrayBuffer> {
  const header = counts(RecordType.data, position);
  if (blocked) header[0]! |= BLOCKED;
  return header;
}

/** @param total bytes of application data sent before it */
export function encodeFin(total: number): Uint8Array<ArrayBuffer> {
  return counts(RecordType.fin, total);
}

/** The reason is cut to what fits. */
export function encodeReset(code: number, reason: string): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(3 + MAX_REASON);
  record[0] = RecordType.reset;
  new DataView(record.buffer).setUint16(1, code);
  const { written } = new TextEncoder().encodeInto(reason, record.subarray(3));
  return record.subarray(0, 3 + written);
}

export function encodeAck(received: number, limit: number): Uint8Array<ArrayBuffer> {
  return counts(RecordType.ack, received, limit);
}

export function encodeDone(): Uint8Array<ArrayBuffer> {
  return counts(RecordType.done);
}

/**
 * Reads a record; DATA shares the memory it is given.
 *
 * @throws {TunnelError} `protocol`
 */
export function decodeRecord(bytes: Uint8Array): Record {
  const type = bytes[0]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkLength(type & ~BLOCKED, bytes.length);
  switch (type) {
    case RecordType.data:
    case RecordType.data | BLOCKED:
      return {
        type: 0,
        position: readCount(view, 1),
        blocked: type !== RecordType.data,
        data: bytes.subarray(DATA_HEADER),
      };
    case RecordType.fin:
      return { type, total: readCount(view, 1) };
    case RecordType.reset:
      return { type, code: view.getUint16(1), reason: new TextDecoder().decode(bytes.subarray(3)) };
    case RecordType.ack:
      return { type, received: readCount(view, 1), limit: readCount(view, 9) };
    case RecordType.done:
      return { type };
    default:
      throw malformed(`a record of unknown type ${type}`);
  }
}

/** Bytes that a record of each type may have, at least and at most. */
const LENGTHS: { readonly [type: number]: readonly [number, number] } = {
  [RecordType.data]: [DATA_HEADER + 1, DATA_HEADER + MAX_DATA],
  [RecordType.fin]: [9, 9],
  [RecordType.reset]: [3, 3 + MAX_REASON],
  [RecordType.ack]: [17, 17],
  [RecordType.done]: [1, 1],
};

function checkLength(type: number, length: number): void {
  const range = LENGTHS[type];
  if (!range) throw malformed(`a record of unknown type ${type}`);
  if (length >= range[0] && length <= range[1]) return;
  throw malformed(`a record of type ${type} has ${length} bytes`);
}

function counts(type: number, ...values: number[]): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(1 + 8 * values.length);
  record[0] = type;
  const view = new DataView(record.buffer);
  values.forEach((value, i) => {
    view.setUint32(1 + 8 * i, Math.floor(value / 2 ** 32));
    view.setUint32(5 + 8 * i, value >>> 0);
  });
  return record;
}

function readCount(view: DataView, at: number): number {
  const value = view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
  if (value > Number.MAX_SAFE_INTEGER) throw malformed("a count is out of range");
  return value;
}

function malformed(state: string): TunnelError {
  return new TunnelError("protocol", {
    action: "read the channel",
    state,
    remedy: "check that both ends run versions that go together",
  });
}
