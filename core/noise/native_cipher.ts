/** A cipher by `node:crypto`, which sets up a stream for each message. */

import { freeNow } from "../blocks.ts";
import { type Cipher, TAG_LENGTH } from "./suite.ts";

const OPTIONS = { authTagLength: TAG_LENGTH };
const EMPTY = new Uint8Array(0);

export class NativeCipher implements Cipher {
  readonly #crypto: CipherCrypto;
  readonly #name: string;

  constructor(crypto: CipherCrypto, name: string) {
    this.#crypto = crypto;
    this.#name = name;
  }

  /** One `update` for all of it: version 2.7 of Deno makes a wrong tag when there are two. */
  seal(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, bytes: Uint8Array): void {
    const end = bytes.length - TAG_LENGTH;
    const cipher = this.#crypto.createCipheriv(this.#name, key, nonce, OPTIONS);
    if (ad.length > 0) cipher.setAAD(ad);
    if (end > 0) {
      const encrypted = cipher.update(bytes.subarray(0, end));
      bytes.set(encrypted);
      freeNow(encrypted);
    }
    cipher.final();
    bytes.set(cipher.getAuthTag(), end);
  }

  open(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array<ArrayBuffer> {
    const end = sealed.length - TAG_LENGTH;
    const decipher = this.#crypto.createDecipheriv(this.#name, key, nonce, OPTIONS);
    decipher.setAuthTag(sealed.subarray(end));
    if (ad.length > 0) decipher.setAAD(ad);
    const message = end > 0 ? decipher.update(sealed.subarray(0, end)) : EMPTY;
    decipher.final();
    return plain(message);
  }
}

/** Without what a Buffer does otherwise than the Uint8Array it is, and out of the pool of small ones. */
export function plain(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  return buffer.byteLength === byteLength
    ? new Uint8Array(buffer as ArrayBuffer)
    : new Uint8Array(bytes);
}

/** What is used of `node:crypto`, declared here because naming the module's types would import it. */
export interface CipherCrypto {
  createCipheriv(...parameters: CipherParameters): CipherStream & { getAuthTag(): Uint8Array };
  createDecipheriv(
    ...parameters: CipherParameters
  ): CipherStream & { setAuthTag(tag: Uint8Array): void };
}

type CipherParameters = [
  name: string,
  key: Uint8Array,
  nonce: Uint8Array,
  options: { authTagLength: number },
];

interface CipherStream {
  setAAD(bytes: Uint8Array): void;
  update(bytes: Uint8Array): Uint8Array;
  final(): Uint8Array;
}
