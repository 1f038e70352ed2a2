/** A message under construction: frames one behind the other in one reusable buffer. */

import { FrameType, HEADER_SIZE, MAX_REASON, NO_TIMEOUT, type Settings } from "./frame.ts";

/** Bytes of a frame whose payload is one number. */
const CONTROL_SIZE = HEADER_SIZE + 4;
/** Bytes of a message at most: with a WebSocket's header it fills eight TLS records. */
export const MAX_MESSAGE = 128 * 1024 - 16;
/** Bytes that one DATA frame carries at most: a write of no more than these goes out in one piece. */
export const MAX_CHUNK = MAX_MESSAGE - HEADER_SIZE - CONTROL_SIZE;
/** Bytes of room below which no further frame is begun. */
const LEAST_ROOM = 1024;
/** Bytes up to which a message may be held back for an acknowledgement. */
const SMALL = 8 * 1024;

/** Bytes of a message without data: a quiet session's. */
const BRIEF = 2 * LEAST_ROOM;

const SPARE_BUFFERS = 8;
const spares: ArrayBuffer[] = [];

/**
 * Frames for one send. Its buffer is on loan from a small pool, so that a quiet session holds none:
 * call {@linkcode Batch.release} when the message has left.
 */
export class Batch {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #start: number;
  readonly #most: number;
  #end: number;

  /**
   * @param headroom bytes in front of the message
   * @param size "brief" has no room for data; a hundred sessions at rest that speak at one moment would
   * take 13 MB otherwise
   */
  constructor(headroom: number, size: "full" | "brief" = "full") {
    this.#most = size === "full" ? MAX_MESSAGE : BRIEF;
    const buffer = size === "full"
      ? takeBuffer(headroom + MAX_MESSAGE)
      : new ArrayBuffer(headroom + BRIEF);
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#start = this.#end = headroom;
  }

  /** Bytes that were added so far. */
  get length(): number {
    return this.#end - this.#start;
  }

  get empty(): boolean {
    return this.#end === this.#start;
  }

  /** Bytes of data that still fit, in a frame of their own and with a PING behind it. */
  get room(): number {
    return this.#most - CONTROL_SIZE - HEADER_SIZE - this.length;
  }

  /** True when nothing more should be added. */
  get full(): boolean {
    return this.room < LEAST_ROOM;
  }

  get isBrief(): boolean {
    return this.#most < MAX_MESSAGE;
  }

  get small(): boolean {
    return this.length <= SMALL;
  }

  /** What was added so far, with the headroom in front of it. */
  get message(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  clear(): void {
    this.#end = this.#start;
  }

  release(): void {
    if (!this.isBrief && spares.length < SPARE_BUFFERS) spares.push(this.#bytes.buffer);
  }

  settings({ streams, window, idleTimeout, restTimeout }: Settings): void {
    this.#header(FrameType.settings, 0, 16);
    for (const value of [streams, window, idleTimeout, restTimeout]) {
      this.#u32(Math.min(value, NO_TIMEOUT));
    }
  }

  /** A frame whose payload is one number. */
  control(type: number, id: number, value: number): void {
    this.#header(type, id, 4);
    this.#u32(value);
  }

  data(id: number, flags: number, payload: Uint8Array): void {
    this.#header(FrameType.data | flags, id, payload.length);
    this.#bytes.set(payload, this.#end);
    this.#end += payload.length;
  }

  close(code: number, reason: string): void {
    const text = truncate(reason);
    this.#header(FrameType.close, 0, 4 + text.length);
    this.#u32(code);
    this.#bytes.set(text, this.#end);
    this.#end += text.length;
  }

  #header(type: number, id: number, length: number): void {
    this.#view.setUint32(this.#end, (type << 24 | length) >>> 0);
    this.#view.setUint32(this.#end + 4, id);
    this.#end += HEADER_SIZE;
  }

  #u32(value: number): void {
    this.#view.setUint32(this.#end, value);
    this.#end += 4;
  }
}

function takeBuffer(size: number): ArrayBuffer {
  const spare = spares.pop();
  return spare && spare.byteLength >= size ? spare : new ArrayBuffer(size);
}

/** The text as UTF-8, cut in front of the character that does not fit. */
function truncate(text: string): Uint8Array {
  const bytes = new Uint8Array(MAX_REASON);
  return bytes.subarray(0, new TextEncoder().encodeInto(text, bytes).written);
}
