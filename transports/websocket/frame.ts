/** Frames of the WebSocket protocol on the wire: RFC 6455, section 5. */

import { TunnelError } from "../../core/errors.ts";
import { WebSocketClose } from "../../core/mux/message_socket.ts";

/** RFC 6455, section 5.2. */
export const Opcode = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

/** Bytes of the longest header: 2, an extended length of 8, and a mask of 4. */
export const MAX_HEADER = 14;
/** Bytes of payload in a control frame (RFC 6455, section 5.5). */
export const MAX_CONTROL = 125;

export interface FrameHeader {
  readonly final: boolean;
  readonly opcode: number;
  readonly masked: boolean;
  /** Bytes of the header itself, mask included. */
  readonly size: number;
  /** Bytes of payload behind it. */
  readonly length: number;
}

/** A peer that breaks RFC 6455, with the code that its close frame is to carry. */
export class FrameError extends TunnelError {
  constructor(readonly closeCode: number, state: string) {
    super("protocol", { action: "read a WebSocket frame", state });
  }
}

/**
 * Reads the header that starts at `bytes[0]`; undefined when it is not complete yet.
 *
 * @throws {FrameError} when no peer may send it: a reserved bit or opcode, a length in more bytes
 * than it takes or of 2^53 and more, a fragmented or long control frame
 */
export function parseHeader(bytes: Uint8Array): FrameHeader | undefined {
  if (bytes.length < 2) return undefined;
  const [first, second] = bytes as unknown as [number, number];
  const final = (first & 0x80) !== 0;
  const opcode = first & 0x0f;
  if (first & 0x70) throw protocol("a reserved bit is set");
  if ((opcode & 0x7) > 2) throw protocol(`opcode ${opcode} is reserved`);
  const short = second & 0x7f;
  if (opcode >= Opcode.close) {
    if (!final) throw protocol("a control frame is fragmented");
    if (short > MAX_CONTROL) throw protocol("a control frame is longer than 125 bytes");
  }
  const masked = (second & 0x80) !== 0;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const size = 2 + extended + (masked ? 4 : 0);
  if (bytes.length < size) return undefined;
  return { final, opcode, masked, size, length: extended ? longLength(bytes, extended) : short };
}

/** Bytes of the header for a payload of this length. */
export function headerSize(length: number, masked: boolean): number {
  return 2 + (length < 126 ? 0 : length < 65536 ? 2 : 8) + (masked ? 4 : 0);
}

/**
 * Writes the header of a final frame to the start of `target`, the mask last if there is one.
 * `target` has {@linkcode headerSize} bytes or more.
 */
export function writeHeader(
  target: Uint8Array,
  opcode: number,
  length: number,
  key?: Uint8Array,
): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  const maskBit = key ? 0x80 : 0;
  target[0] = 0x80 | opcode;
  let end = 2;
  if (length < 126) {
    target[1] = maskBit | length;
  } else if (length < 65536) {
    target[1] = maskBit | 126;
    view.setUint16(2, length);
    end = 4;
  } else {
    target[1] = maskBit | 127;
    view.setUint32(2, Math.floor(length / 2 ** 32));
    view.setUint32(6, length >>> 0);
    end = 10;
  }
  if (key) target.set(key, end);
}

/** A whole frame in an array of its own, for the small ones. */
export function encodeFrame(opcode: number, payload: Uint8Array, key?: Uint8Array) {
  const size = headerSize(payload.length, key !== undefined);
  const frame = new Uint8Array(size + payload.length);
  writeHeader(frame, opcode, payload.length, key);
  frame.set(payload, size);
  if (key) mask(frame.subarray(size), key);
  return frame;
}

/** Masks or unmasks in place (RFC 6455, section 5.3), by words where the bytes allow it. */
export function mask(bytes: Uint8Array, key: Uint8Array): void {
  const length = bytes.length;
  const toWord = -bytes.byteOffset & 3;
  const lead = length < toWord + 4 ? length : toWord;
  for (let i = 0; i < lead; i++) bytes[i]! ^= key[i & 3]!;
  if (lead === length) return;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + lead, (length - lead) >> 2);
  for (let i = 0; i < 4; i++) rotated[i] = key[(lead + i) & 3]!;
  const word = rotatedWord[0]!;
  const eights = words.length & ~7;
  let i = 0;
  // Eight at a time: twice as fast as one, and masking is what the client's uplink waits for.
  for (; i < eights; i += 8) {
    words[i]! ^= word;
    words[i + 1]! ^= word;
    words[i + 2]! ^= word;
    words[i + 3]! ^= word;
    words[i + 4]! ^= word;
    words[i + 5]! ^= word;
    words[i + 6]! ^= word;
    words[i + 7]! ^= word;
  }
  for (; i < words.length; i++) words[i]! ^= word;
  for (let at = lead + words.length * 4; at < length; at++) bytes[at]! ^= key[at & 3]!;
}

const rotated = new Uint8Array(4);
const rotatedWord = new Int32Array(rotated.buffer);

/** Fresh masking keys, unpredictable as section 5.3 demands, drawn a thousand at a time. */
export function newKey(): Uint8Array {
  if (nextKey === keys.length) {
    crypto.getRandomValues(keys);
    nextKey = 0;
  }
  nextKey += 4;
  return keys.subarray(nextKey - 4, nextKey);
}

const keys = new Uint8Array(4096);
let nextKey = keys.length;

function longLength(bytes: Uint8Array, extended: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (extended === 2) {
    const length = view.getUint16(2);
    if (length < 126) throw protocol("a length is in more bytes than it takes");
    return length;
  }
  const high = view.getUint32(2);
  const length = high * 2 ** 32 + view.getUint32(6);
  if (length < 65536) throw protocol("a length is in more bytes than it takes");
  if (high >= 2 ** 21) throw new FrameError(WebSocketClose.tooBig, "a length is beyond 2^53");
  return length;
}

function protocol(state: string): FrameError {
  return new FrameError(WebSocketClose.protocol, state);
}
