/** The choice between the implementations of the suite. */

import { loadNativeSuite } from "./native_suite.ts";
import { nobleSuite } from "./noble_suite.ts";
import { type Cipher, loadSodium } from "./sodium_cipher.ts";
import type { Suite } from "./suite.ts";

/** Bytes up to which a call costs more than the encryption in it, where the platform has its own. */
const SMALL = 1_536;

/** Bytes of a message whose time is its encryption's. */
const LARGE = 64 * 1024;

let found: Suite | undefined;

/**
 * The platform's own implementation where there is one, else that in JavaScript. Looked for at the
 * first call, which may take some 20 ms where the platform loads its own lazily. From a moment later
 * on, libsodium seals and opens what is small, and everything where it is the faster one.
 */
export function platformSuite(): Suite {
  return found ??= choose();
}

function choose(): Suite {
  const native = loadNativeSuite();
  const suite = native ?? nobleSuite;
  let cipher: Cipher = suite;
  let most = SMALL;
  loadSodium().then((sodium) => {
    if (!sodium) return;
    cipher = sodium;
    // Deno before 2.9 has a slow one of its own.
    if (timeOf(sodium) < timeOf(suite)) most = Infinity;
  });
  return {
    ...methodsOf(suite),
    seal(key, nonce, ad, bytes) {
      (bytes.length <= most ? cipher : suite).seal(key, nonce, ad, bytes);
    },
    open: (key, nonce, ad, sealed) =>
      (sealed.length <= most ? cipher : suite).open(key, nonce, ad, sealed),
  };
}

/** Milliseconds to seal a large message, the least of a few. */
function timeOf(cipher: Cipher): number {
  const [key, nonce, ad] = [new Uint8Array(32), new Uint8Array(12), new Uint8Array(0)];
  const bytes = new Uint8Array(LARGE);
  const times = Array.from({ length: 5 }, () => {
    const began = performance.now();
    cipher.seal(key, nonce, ad, bytes);
    return performance.now() - began;
  });
  return Math.min(...times);
}

/** Of an object or of a class. */
function methodsOf(suite: Suite): Omit<Suite, "seal" | "open"> {
  return {
    generateKeyPair: () => suite.generateKeyPair(),
    importKeyPair: (key) => suite.importKeyPair(key),
    hash: (first, second) => suite.hash(first, second),
    hkdf: (key, material, outputs) => suite.hkdf(key, material, outputs),
  };
}
