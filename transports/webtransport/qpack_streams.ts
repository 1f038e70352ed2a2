/**
 * What the peer may say on its QPACK streams (RFC 9204, section 4) when neither end has a dynamic
 * table: next to nothing, and nothing of it has an effect.
 */

import { Http3Code, Http3Error } from "./errors.ts";

/** The one instruction of an encoder that fits: the capacity is 0 (section 4.3.1). */
const SET_CAPACITY_0 = 0x20;

/** @throws {Http3Error} at an instruction that needs a dynamic table */
export function checkEncoder(chunk: Uint8Array): void {
  if (chunk.every((byte) => byte === SET_CAPACITY_0)) return;
  const code = Http3Code.qpackEncoderStreamError;
  throw new Http3Error(code, "the encoder uses a dynamic table that it was not given");
}

/** A decoder's instructions, in pieces of any size. */
export class DecoderCheck {
  /** Bytes of a number that may still come; 0 between two instructions. */
  #more = 0;

  /** @throws {Http3Error} at anything but the cancellation of a stream (section 4.4.2) */
  take(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (this.#more > 0) {
        this.#more = byte < 0x80 ? 0 : this.#more - 1;
        if (this.#more === 0 && byte >= 0x80) throw violation("a stream's id is too large");
        continue;
      }
      if (byte >> 6 !== 1) throw violation("it confirms what was never inserted");
      // 62 bits take nine bytes of seven behind a prefix.
      if ((byte & 0x3f) === 0x3f) this.#more = 9;
    }
  }
}

function violation(state: string): Http3Error {
  return new Http3Error(Http3Code.qpackDecoderStreamError, `the decoder's stream: ${state}`);
}
