/** One direction of an encrypted conversation (Noise Protocol Framework, section 5.1). */

import { TunnelError } from "../errors.ts";
import { platformSuite } from "./platform_suite.ts";
import { type Cipher, HASH_LENGTH, TAG_LENGTH } from "./suite.ts";

/**
 * Messages after which the key is replaced, by the function of section 4.2, at both ends alike: what
 * is learned of a key tells nothing of the messages before it. At 128 KiB a message, 128 GiB.
 */
export const REKEY_AFTER: number = 2 ** 20;

/** Bytes of a message, sealed, up to which it is not long (docs/PROTOCOL.md, 6.3). */
export const SHORT = 1_536;

/** For tests, which cannot wait for the defaults. Both ends must have the same `rekeyAfter`. */
export interface CipherStateOptions {
  /** Messages per key; 1 and up, default {@linkcode REKEY_AFTER}. */
  rekeyAfter?: number;
  /** Messages in all; default 2^53 - 1, up to which a nonce is exact. */
  maxMessages?: number;
}

/**
 * Seals messages, or opens them in the order in which they were sealed: the nonce is their count, so
 * one that was altered, repeated, moved or left out does not open, nor does any after it.
 */
export class CipherState {
  readonly #rekeyAfter: number;
  readonly #maxMessages: number;
  readonly #short: KeyedCipher;
  #long: KeyedCipher;
  #count = 0;
  #failure?: TunnelError;

  /**
   * @param key 32 bytes, used for nothing else
   * @param cipher ChaChaPoly
   */
  constructor(
    key: Uint8Array,
    options: CipherStateOptions = {},
    cipher: Cipher = platformSuite(),
  ) {
    this.#rekeyAfter = options.rekeyAfter ?? REKEY_AFTER;
    this.#maxMessages = options.maxMessages ?? Number.MAX_SAFE_INTEGER;
    this.#short = this.#long = new KeyedCipher(cipher, key, "little-endian");
  }

  /**
   * Has long messages go by AESGCM, at both ends from the first message on. They are counted with the
   * others, so that none of either kind can be moved.
   *
   * @param key 32 bytes, used for nothing else
   * @throws {TunnelError} `usage` once there has been a message
   */
  useForLong(aesGcm: Cipher, key: Uint8Array): void {
    if (this.#count > 0) {
      throw new TunnelError("usage", {
        action: "set a cipher",
        state: "messages have gone already",
      });
    }
    this.#long = new KeyedCipher(aesGcm, key, "big-endian");
  }

  /**
   * Writes the parts to `target` at `offset`, encrypted as one message, and 16 bytes of tag. They
   * are copied once, and may be used again at once.
   *
   * @param ad what the other end must name to open the message
   * @throws {TunnelError} `usage` when it does not fit; `limit` when no nonce is left
   */
  seal(
    ad: Uint8Array,
    parts: readonly Uint8Array[],
    target: Uint8Array,
    offset: number,
  ): void {
    const length = parts.reduce((sum, part) => sum + part.length, TAG_LENGTH);
    if (offset + length > target.length) {
      throw new TunnelError("usage", {
        action: "seal a message",
        state: `it ends at ${offset + length}, and its target has ${target.length} bytes`,
      });
    }
    this.#demandNonce("seal a message");
    let at = offset;
    for (const part of parts) {
      target.set(part, at);
      at += part.length;
    }
    const count = this.#count++;
    this.#cipherFor(length).seal(count, ad, target.subarray(offset, offset + length));
    this.#rekeyWhenDue();
  }

  /**
   * The message, in memory of its own. After a failure none opens any more.
   *
   * @throws {TunnelError} `protocol` when it is not the next message sealed by the other end with
   * the same `ad`; `limit` when no nonce is left
   */
  open(ad: Uint8Array, sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    if (this.#failure) throw this.#failure;
    this.#demandNonce("open a message");
    // Before its use: whatever happens then, none is used twice.
    const count = this.#count++;
    let message: Uint8Array<ArrayBuffer>;
    try {
      if (sealed.length < TAG_LENGTH) throw new RangeError(`it has ${sealed.length} bytes`);
      message = this.#cipherFor(sealed.length).open(count, ad, sealed);
    } catch (cause) {
      throw this.#failure = new TunnelError("protocol", {
        action: "open a message",
        state: "it is not what the other end sealed next: altered, repeated or out of its turn",
        cause,
      });
    }
    this.#rekeyWhenDue();
    return message;
  }

  #cipherFor(sealedLength: number): KeyedCipher {
    return sealedLength > SHORT ? this.#long : this.#short;
  }

  #demandNonce(action: string): void {
    if (this.#count < this.#maxMessages) return;
    throw new TunnelError("limit", {
      action,
      state: `${this.#count} have used up this key's nonces`,
      remedy: "open a new channel",
    });
  }

  #rekeyWhenDue(): void {
    if (this.#count % this.#rekeyAfter !== 0) return;
    this.#short.rekey();
    if (this.#long !== this.#short) this.#long.rekey();
  }
}

/** A cipher with a key, and the form that its nonces have. */
class KeyedCipher {
  readonly #cipher: Cipher;
  readonly #isLittleEndian: boolean;
  readonly #nonce = new Uint8Array(12);
  #key: Uint8Array;

  constructor(cipher: Cipher, key: Uint8Array, nonces: "little-endian" | "big-endian") {
    this.#cipher = cipher;
    this.#key = key;
    this.#isLittleEndian = nonces === "little-endian";
  }

  seal(count: number, ad: Uint8Array, bytes: Uint8Array): void {
    writeNonce(this.#nonce, count, this.#isLittleEndian);
    this.#cipher.seal(this.#key, this.#nonce, ad, bytes);
  }

  open(count: number, ad: Uint8Array, sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    writeNonce(this.#nonce, count, this.#isLittleEndian);
    return this.#cipher.open(this.#key, this.#nonce, ad, sealed);
  }

  /** The new key is 32 zeros encrypted; the count goes on (sections 4.2 and 11.3). */
  rekey(): void {
    const sealed = new Uint8Array(HASH_LENGTH + TAG_LENGTH);
    this.#cipher.seal(this.#key, LAST_NONCE, EMPTY, sealed);
    this.#key = sealed.subarray(0, HASH_LENGTH);
  }
}

/**
 * Writes a count of messages: 32 bits of zeros, then 64 of it, little-endian for ChaChaPoly (section
 * 12.3), big-endian for AESGCM (12.4).
 */
export function writeNonce(nonce: Uint8Array, count: number, isLittleEndian = true): void {
  const view = new DataView(nonce.buffer, nonce.byteOffset);
  view.setUint32(isLittleEndian ? 4 : 8, count, isLittleEndian);
  view.setUint32(isLittleEndian ? 8 : 4, count / 2 ** 32, isLittleEndian);
}

/** 2^64 - 1, which no message uses. */
const LAST_NONCE = Uint8Array.of(0, 0, 0, 0, ...new Uint8Array(8).fill(0xff));
const EMPTY = new Uint8Array(0);
