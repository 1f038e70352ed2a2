/** The suite in JavaScript, for platforms without `node:crypto`: browsers. */

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat } from "../bytes.ts";
import { type KeyPair, type Suite, TAG_LENGTH } from "./suite.ts";

const EMPTY = new Uint8Array(0);

export const nobleSuite: Suite = {
  generateKeyPair() {
    return keyPair(crypto.getRandomValues(new Uint8Array(32)));
  },

  importKeyPair(privateKey) {
    return keyPair(Uint8Array.from(privateKey));
  },

  hash(first, second) {
    return sha256(concat([first, second]));
  },

  hkdf(chainingKey, material, outputs) {
    return hkdf(sha256, material, chainingKey, EMPTY, outputs * 32);
  },

  seal(key, nonce, ad, bytes) {
    chacha20poly1305(key, nonce, ad).encrypt(bytes.subarray(0, -TAG_LENGTH), bytes);
  },

  open(key, nonce, ad, sealed) {
    return chacha20poly1305(key, nonce, ad).decrypt(sealed);
  },
};

function keyPair(privateKey: Uint8Array<ArrayBuffer>): KeyPair {
  return {
    publicKey: x25519.getPublicKey(privateKey),
    agree: (remote) => x25519.getSharedSecret(privateKey, remote),
  };
}
