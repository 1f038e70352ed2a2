/**
 * The multiplexer's frames on the wire. A message of the socket below holds one or more whole
 * frames; all numbers are big-endian.
 *
 *     type u8 | length u24 | stream u32 | payload, `length` bytes
 *
 *     SETTINGS  0  stream 0   u32 streams, u32 window, u32 idle ms, u32 idle ms at rest: the first
 *                             frame, each way, once; 2^32 - 1 ms: silence says nothing
 *     DATA      1  stream n   bytes; flags in the type: 0x80 opens the stream, 0x40 ends this
 *                             direction, 0x20 the credit is used up by it
 *     RESET     2  stream n   u32 code    the writer gives up: no more DATA comes
 *     STOP      3  stream n   u32 code    the reader gives up: a RESET is owed, unless ended
 *     CREDIT    4  stream n   u32 bytes   that may be sent beyond those allowed so far
 *     STREAMS   5  stream 0   u32 streams that may be opened beyond those allowed so far
 *     PING      6  stream 0   u32 of the sender's choice
 *     PONG      7  stream 0   u32 of the PING
 *     CLOSE     8  stream 0   u32 code, at most 120 bytes of UTF-8
 *
 * The client opens 1, 3, 5, ..., the server 2, 4, 6, ..., each in this order and none twice. A
 * direction ends with the flag 0x40 or a RESET; CREDIT and STOP may still come after both have.
 */

import { TunnelError } from "../errors.ts";

/** Bytes of a frame's header. */
export const HEADER_SIZE = 8;
/** What SETTINGS say where no silence is too long. */
export const NO_TIMEOUT = 0xffffffff;
/** Bytes of text that a CLOSE may carry. */
export const MAX_REASON = 120;

export const FrameType = {
  settings: 0,
  data: 1,
  reset: 2,
  stop: 3,
  credit: 4,
  streams: 5,
  ping: 6,
  pong: 7,
  close: 8,
} as const;

/** Flags in the type of a DATA frame. */
export const Flag = { open: 0x80, end: 0x40, blocked: 0x20 } as const;

const FLAGS = Flag.open | Flag.end | Flag.blocked;

/** What each side states first. */
export interface Settings {
  /** Streams that the peer may open before it is allowed more. */
  readonly streams: number;
  /** Bytes that may be sent on each stream before more are allowed. */
  readonly window: number;
  /** Milliseconds of silence after which this side gives the session up; may be Infinity. */
  readonly idleTimeout: number;
  /** The same while no stream but one is open; may be Infinity. */
  readonly restTimeout: number;
}

/** Takes frames apart; everything but what a frame means is checked before it is called. */
export interface FrameHandler {
  settings(settings: Settings): void;
  /** The payload is valid until the call returns. */
  data(id: number, flags: number, payload: Uint8Array): void;
  reset(id: number, code: number): void;
  stop(id: number, code: number): void;
  credit(id: number, bytes: number): void;
  streams(more: number): void;
  ping(value: number): void;
  pong(value: number): void;
  /** The last frame that counts. */
  closing(code: number, reason: string): void;
}

/**
 * Hands every frame of a message to the handler, in order.
 *
 * @throws {TunnelError} `protocol` at the first byte that is not of the format above
 */
export function decodeFrames(message: Uint8Array, handler: FrameHandler): void {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  while (at < message.length) {
    if (message.length - at < HEADER_SIZE) throw violation("a frame's header is cut off");
    const head = view.getUint32(at);
    const id = view.getUint32(at + 4);
    const start = at + HEADER_SIZE;
    at = start + (head & 0xffffff);
    if (at > message.length) throw violation("a frame is cut off");
    const type = head >>> 24;
    if ((type & ~FLAGS) === FrameType.data) {
      if (id === 0) throw violation("DATA came without a stream");
      handler.data(id, type & FLAGS, message.subarray(start, at));
    } else {
      decodeControl(type, id, view, start, at, handler);
      if (type === FrameType.close) return;
    }
  }
}

/** How many of these bytes are whole frames. */
export function wholeFrames(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let whole = 0;
  while (bytes.length - whole >= HEADER_SIZE) {
    const next = whole + HEADER_SIZE + (view.getUint32(whole) & 0xffffff);
    if (next > bytes.length) break;
    whole = next;
  }
  return whole;
}

/** The error for a peer that breaks the protocol. */
export function violation(state: string): TunnelError {
  return new TunnelError("protocol", { action: "read from the peer", state });
}

function decodeControl(
  type: number,
  id: number,
  view: DataView,
  start: number,
  end: number,
  handler: FrameHandler,
): void {
  const ofStream = type === FrameType.reset || type === FrameType.stop || type === FrameType.credit;
  if (ofStream !== id > 0) throw violation(`frame type ${type} came for stream ${id}`);
  const length = end - start;
  const expected = type === FrameType.settings ? 16 : 4;
  if (type === FrameType.close ? length < 4 || length > 4 + MAX_REASON : length !== expected) {
    throw violation(`frame type ${type} came with ${length} bytes`);
  }
  const value = view.getUint32(start);
  switch (type) {
    case FrameType.settings:
      return handler.settings({
        streams: value,
        window: view.getUint32(start + 4),
        idleTimeout: timeoutOf(view.getUint32(start + 8)),
        restTimeout: timeoutOf(view.getUint32(start + 12)),
      });
    case FrameType.reset:
      return handler.reset(id, value);
    case FrameType.stop:
      return handler.stop(id, value);
    case FrameType.credit:
      return handler.credit(id, value);
    case FrameType.streams:
      return handler.streams(value);
    case FrameType.ping:
      return handler.ping(value);
    case FrameType.pong:
      return handler.pong(value);
    case FrameType.close:
      return handler.closing(value, decodeReason(view, start + 4, end));
    default:
      throw violation(`frame type ${type} is unknown`);
  }
}

function timeoutOf(value: number): number {
  return value === NO_TIMEOUT ? Infinity : value;
}

function decodeReason(view: DataView, start: number, end: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + start, end - start);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Said by the type alone: the bytes are not UTF-8.
    throw violation("the reason of a CLOSE is not UTF-8");
  }
}
