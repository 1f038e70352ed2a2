/**
 * The cipher by libsodium as WebAssembly. A call has next to no cost of its own, where that of
 * `node:crypto` sets up a stream for each message; and it is twice as fast as JavaScript. Its
 * functions are called on its memory, where each message has the same place: memory of its own for
 * each argument of each call, which the wrappers of libsodium.js take and give back, costs as much as
 * the encryption of what is small.
 */

import { type Cipher, TAG_LENGTH } from "./suite.ts";

/** Loads it, once; undefined where WebAssembly may not be used. */
export function loadSodium(): Promise<Cipher | undefined> {
  return loading ??= load();
}

let loading: Promise<Cipher | undefined> | undefined;

async function load(): Promise<Cipher | undefined> {
  try {
    const { default: instantiate } = await import("libsodium");
    return new SodiumCipher(await instantiate() as Sodium);
  } catch {
    // A page's policy forbids it, or the platform has none: every other implementation does as well.
    return undefined;
  }
}

/** libsodium as Emscripten shows it: numbers are addresses, and lengths in two halves. */
interface Sodium {
  /** All of its memory; another array once that has grown. */
  readonly HEAPU8: Uint8Array<ArrayBuffer>;
  /** 0 when there is no more. */
  _malloc(length: number): number;
  _free(address: number): void;
  /** (to, 0, from, length, 0, ad, its length, 0, 0, nonce, key): with its tag behind it. */
  _crypto_aead_chacha20poly1305_ietf_encrypt(...args: number[]): number;
  /** (to, 0, 0, from, length, 0, ad, its length, 0, nonce, key): 0 for what was sealed so. */
  _crypto_aead_chacha20poly1305_ietf_decrypt(...args: number[]): number;
}

const KEY_LENGTH = 32;
/** Behind the key; 12 bytes of it are used. */
const NONCE_LENGTH = 16;
/** Bytes that are there from the beginning: for what is small. */
const LEAST_ROOM = 2_048;

class SodiumCipher implements Cipher {
  readonly #sodium: Sodium;
  #at = 0;
  #room = 0;

  constructor(sodium: Sodium) {
    this.#sodium = sodium;
    this.#reserve(LEAST_ROOM);
  }

  seal(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, bytes: Uint8Array): void {
    const text = this.#write(key, nonce, ad, bytes);
    const length = bytes.length - TAG_LENGTH;
    const [adAt, nonceAt, keyAt] = [text - ad.length, this.#at + KEY_LENGTH, this.#at];
    const { _crypto_aead_chacha20poly1305_ietf_encrypt: encrypt } = this.#sodium;
    encrypt(text, 0, text, length, 0, adAt, ad.length, 0, 0, nonceAt, keyAt);
    bytes.set(this.#sodium.HEAPU8.subarray(text, text + bytes.length));
  }

  open(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array<ArrayBuffer> {
    const text = this.#write(key, nonce, ad, sealed);
    const [adAt, nonceAt, keyAt] = [text - ad.length, this.#at + KEY_LENGTH, this.#at];
    const { _crypto_aead_chacha20poly1305_ietf_decrypt: decrypt } = this.#sodium;
    const code = decrypt(text, 0, 0, text, sealed.length, 0, adAt, ad.length, 0, nonceAt, keyAt);
    if (code !== 0) throw new Error("the tag is another's");
    return this.#sodium.HEAPU8.slice(text, text + sealed.length - TAG_LENGTH);
  }

  /** Puts everything in its place. @returns where the message is: right behind what goes with it */
  #write(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, message: Uint8Array): number {
    const length = KEY_LENGTH + NONCE_LENGTH + ad.length + message.length;
    if (length > this.#room) this.#reserve(length);
    const { HEAPU8 } = this.#sodium;
    HEAPU8.set(key, this.#at);
    HEAPU8.set(nonce, this.#at + KEY_LENGTH);
    const behind = this.#at + KEY_LENGTH + NONCE_LENGTH;
    if (ad.length > 0) HEAPU8.set(ad, behind);
    HEAPU8.set(message, behind + ad.length);
    return behind + ad.length;
  }

  #reserve(length: number): void {
    const room = 2 ** Math.ceil(Math.log2(length));
    const at = this.#sodium._malloc(room);
    if (at === 0) throw new RangeError(`libsodium has no room for ${room} bytes`);
    if (this.#at !== 0) this.#sodium._free(this.#at);
    this.#at = at;
    this.#room = room;
  }
}
