/**
 * Capsules (RFC 9297, section 3.2) on the stream of a session's CONNECT, as far as a session is
 * concerned: the one that closes it. All others mean nothing here, or nothing yet, and are passed over.
 */

import { concat } from "../../core/bytes.ts";
import type { CloseInfo } from "../../core/transport.ts";
import { Http3Code, Http3Error } from "./errors.ts";
import { decodeVarint, encodeVarint } from "./varint.ts";

export const CapsuleType = {
  /** u32 code, then at most 1,024 bytes of text. */
  close: 0x2843n,
  /** The peer would like the session to end soon. */
  drain: 0x78aen,
} as const;

/** Bytes of a close capsule's text (draft-ietf-webtrans-http3, "Session Termination"). */
const MAX_REASON = 1_024;
/** Bytes of a type and a length. */
const MAX_HEADER = 16;

export function encodeCapsule(type: bigint, value: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat([encodeVarint(type), encodeVarint(value.length), value]);
}

/** @param info its reason must have at most 1,024 bytes */
export function encodeClose({ code, reason }: CloseInfo): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(reason);
  const value = new Uint8Array(4 + text.length);
  new DataView(value.buffer).setUint32(0, code);
  value.set(text, 4);
  return encodeCapsule(CapsuleType.close, value);
}

/** Takes what comes on the stream, in pieces of any size, and holds no more than one close capsule. */
export class CapsuleReader {
  /** What has come of a header, or of a close capsule's value. */
  #held = new Uint8Array(0);
  #type: bigint | undefined;
  /** Bytes of the value that are still to come. */
  #left = 0n;

  /** Whether what has come ends with a whole capsule. */
  get isWhole(): boolean {
    return this.#type === undefined && this.#held.length === 0;
  }

  /**
   * @returns what a close capsule says, once it is complete; nothing may come behind it
   * @throws {Http3Error} when it is malformed
   */
  take(chunk: Uint8Array): CloseInfo | undefined {
    for (let rest = chunk;;) {
      rest = this.#type === undefined ? this.#header(rest) : rest;
      if (this.#type === undefined) return undefined;
      const taken = BigInt(rest.length) < this.#left ? rest.length : Number(this.#left);
      this.#left -= BigInt(taken);
      const isClose = this.#type === CapsuleType.close;
      if (isClose) this.#held = concat([this.#held, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      if (this.#left > 0n) return undefined;
      this.#type = undefined;
      if (isClose) {
        if (rest.length > 0) throw malformed("something comes behind it");
        return this.#close();
      }
    }
  }

  /** Reads type and length; gives back what comes behind them. */
  #header(chunk: Uint8Array): Uint8Array {
    const from = this.#held.length;
    const start = concat([this.#held, chunk.subarray(0, MAX_HEADER - from)]);
    const type = decodeVarint(start);
    const length = type && decodeVarint(start, type.end);
    if (!length) {
      this.#held = start;
      return chunk.subarray(chunk.length);
    }
    this.#held = new Uint8Array(0);
    this.#type = type.value;
    this.#left = length.value;
    if (
      type.value === CapsuleType.close && (this.#left < 4n || this.#left > 4n + BigInt(MAX_REASON))
    ) {
      throw malformed(`it has ${this.#left} bytes`);
    }
    return chunk.subarray(length.end - from);
  }

  #close(): CloseInfo {
    const value = this.#held;
    this.#held = new Uint8Array(0);
    const code = new DataView(value.buffer, value.byteOffset).getUint32(0);
    try {
      return { code, reason: new TextDecoder("utf-8", { fatal: true }).decode(value.subarray(4)) };
    } catch (cause) {
      throw malformed("its text is no UTF-8", cause);
    }
  }
}

function malformed(state: string, cause?: unknown): Http3Error {
  return new Http3Error(
    Http3Code.messageError,
    `the capsule that closes a session: ${state}`,
    cause,
  );
}
