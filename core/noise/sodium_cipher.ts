/**
 * The cipher by libsodium as WebAssembly. A call has next to no cost of its own, where that of
 * `node:crypto` sets up a stream for each message; and it is twice as fast as JavaScript.
 */

import { freeNow } from "../blocks.ts";
import { type Cipher, TAG_LENGTH } from "./suite.ts";

/** Loads it, once; undefined where WebAssembly may not be used. */
export function loadSodium(): Promise<Cipher | undefined> {
  return loading ??= load();
}

let loading: Promise<Cipher | undefined> | undefined;

async function load(): Promise<Cipher | undefined> {
  try {
    const { default: sodium } = await import("libsodium-wrappers");
    await sodium.ready;
    const {
      crypto_aead_chacha20poly1305_ietf_encrypt: encrypt,
      crypto_aead_chacha20poly1305_ietf_decrypt: decrypt,
    } = sodium;
    return {
      seal(key, nonce, ad, bytes) {
        const sealed = encrypt(bytes.subarray(0, -TAG_LENGTH), given(ad), null, nonce, key);
        bytes.set(sealed);
        freeNow(sealed);
      },
      open(key, nonce, ad, sealed) {
        return decrypt(null, sealed, given(ad), nonce, key) as Uint8Array<ArrayBuffer>;
      },
    };
  } catch {
    // A page's policy forbids it, or the platform has none: every other implementation does as well.
    return undefined;
  }
}

function given(ad: Uint8Array): Uint8Array | null {
  return ad.length > 0 ? ad : null;
}
