/** Frames of HTTP/3 (RFC 9114, section 7), and the types of streams. */

import { ByteReader, concat } from "../../core/bytes.ts";
import { TunnelError } from "../../core/errors.ts";
import { Http3Code, Http3Error } from "./errors.ts";
import { decodeVarint, encodeVarint, varintLength } from "./varint.ts";

export const FrameType = {
  data: 0x00n,
  headers: 0x01n,
  cancelPush: 0x03n,
  settings: 0x04n,
  pushPromise: 0x05n,
  goaway: 0x07n,
  maxPushId: 0x0dn,
  /** Not a frame: it makes the rest of a bidirectional stream WebTransport's. */
  webTransport: 0x41n,
} as const;

/** Types of unidirectional streams. */
export const StreamType = {
  control: 0x00n,
  push: 0x01n,
  qpackEncoder: 0x02n,
  qpackDecoder: 0x03n,
  webTransport: 0x54n,
} as const;

/** HTTP/2's, which must not come (RFC 9114, section 7.2.8). */
const RESERVED = [0x02n, 0x06n, 0x08n, 0x09n];
const KNOWN: readonly bigint[] = [...Object.values(FrameType), ...RESERVED];

export interface FrameHeader {
  readonly type: bigint;
  readonly length: bigint;
}

/** Whether a type means nothing to this end, so that the frame is to be passed over. */
export function isUnknown(type: bigint): boolean {
  return !KNOWN.includes(type);
}

export function encodeFrame(type: bigint, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat([encodeVarint(type), encodeVarint(payload.length), payload]);
}

/** Reads the frames of a stream one after the other; each payload is to be taken before the next. */
export class FrameReader {
  readonly #bytes: ByteReader;
  /** Bytes of the current payload that have not been taken. */
  #left = 0n;

  /** @param first what was read of the stream before */
  constructor(readable: ReadableStream<Uint8Array>, first = new Uint8Array(0)) {
    this.#bytes = new ByteReader({ readable });
    this.#bytes.unread(first);
  }

  /** The next frame's header; null at the end. @throws {Http3Error} when it is cut off */
  async next(): Promise<FrameHeader | null> {
    const type = await this.#varint();
    if (type === null) return null;
    const length = await this.#varint();
    if (length === null) throw cutOff();
    this.#left = length;
    return { type, length };
  }

  /** The whole payload. @throws {Http3Error} when it is longer than `most`, or cut off */
  async payload(most: number): Promise<Uint8Array> {
    if (this.#left > BigInt(most)) {
      throw new Http3Error(Http3Code.excessiveLoad, `a frame has ${this.#left} bytes`);
    }
    const length = Number(this.#left);
    this.#left = 0n;
    // It may be looked at after the next read.
    return length === 0 ? new Uint8Array(0) : (await this.#exactly(length) ?? failCutOff()).slice();
  }

  /** The payload in the pieces in which it comes; null behind it. */
  async piece(): Promise<Uint8Array | null> {
    if (this.#left === 0n) return null;
    const chunk = await this.#bytes.read() ?? failCutOff();
    const taken = BigInt(chunk.length) > this.#left ? Number(this.#left) : chunk.length;
    this.#left -= BigInt(taken);
    if (taken < chunk.length) this.#bytes.unread(chunk.subarray(taken));
    return chunk.subarray(0, taken);
  }

  /** Passes over the payload. */
  async skip(): Promise<void> {
    while (await this.piece() !== null);
  }

  /** Tells the peer that nothing more will be read. Never rejects. */
  cancel(): Promise<void> {
    return this.#bytes.cancel();
  }

  async #varint(): Promise<bigint | null> {
    const first = await this.#exactly(1);
    if (first === null) return null;
    const head = first.slice();
    const more = varintLength(head[0]!) - 1;
    if (more === 0) return decodeVarint(head)!.value;
    return decodeVarint(concat([head, await this.#exactly(more) ?? failCutOff()]))!.value;
  }

  async #exactly(length: number): Promise<Uint8Array | null> {
    try {
      return await this.#bytes.readExactly(length);
    } catch (cause) {
      // The reader's own word for an end half-way; anything else is the stream's.
      if (cause instanceof TunnelError && cause.code === "reset") throw cutOff(cause);
      throw cause;
    }
  }
}

/** RFC 9114, section 7.1. */
function cutOff(cause?: unknown): Http3Error {
  return new Http3Error(Http3Code.frameError, "a stream ended within a frame", cause);
}

function failCutOff(): never {
  throw cutOff();
}
