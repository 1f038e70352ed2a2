/** The choice between the implementations of the suite. */

import { loadNativeSuite, type NativeSuite } from "./native_suite.ts";
import { nobleSuite } from "./noble_suite.ts";
import { loadSodium } from "./sodium_cipher.ts";
import type { Cipher, Suite } from "./suite.ts";

/** Bytes up to which a call costs more than the encryption in it, but for libsodium's. */
const SMALL = 1_536;

/** Bytes of a message whose time is its encryption's. */
const LARGE = 64 * 1024;

/** Bytes of the first message that is worth looking for the fastest: no handshake has as many. */
const MANY = 16 * 1024;

/** The part of another cipher's time. */
const WELL = 0.8;

/** Implementations of ciphers by something that the core does not know. */
export interface Ciphers {
  readonly chachaPoly: Cipher;
  readonly aesGcm: Cipher;
}

let others: () => Ciphers | undefined = () => undefined;

/**
 * Has the suite consider these, too, from the first handshake on.
 *
 * @param load called when there may be something long to encrypt
 */
export function considerCiphers(load: () => Ciphers | undefined): void {
  others = load;
  aesGcm = undefined;
}

let found: Suite | undefined;

/**
 * The platform's own implementation where there is one, else that in JavaScript. Looked for at the
 * first call, which may take some 20 ms where the platform loads its own lazily. From a moment later
 * on, libsodium seals and opens what is small; from the first long message on, what is fastest here
 * everything else.
 */
export function platformSuite(): Suite {
  return found ??= choose();
}

function choose(): Suite {
  const suite = native() ?? nobleSuite;
  let small: Cipher = suite;
  let large: Cipher | undefined;
  let sodium: Cipher | undefined;
  loadSodium().then((ready) => {
    if (!ready) return;
    small = sodium = ready;
    large = undefined;
  });
  const cipherFor = (length: number): Cipher => {
    if (length <= SMALL) return small;
    if (large || length < MANY) return large ?? suite;
    return large = fastest([suite, sodium, others()?.chachaPoly]);
  };
  return {
    ...methodsOf(suite),
    seal: (key, nonce, ad, bytes) => cipherFor(bytes.length).seal(key, nonce, ad, bytes),
    open: (key, nonce, ad, sealed) => cipherFor(sealed.length).open(key, nonce, ad, sealed),
  };
}

let loaded: NativeSuite | null | undefined;

function native(): NativeSuite | null {
  return loaded === undefined ? loaded = loadNativeSuite() : loaded;
}

let aesGcm: Cipher | null | undefined;

/**
 * AES-256-GCM, where it is well faster here than ChaCha20-Poly1305, as with AES in hardware; else
 * undefined. The first call looks for it, which takes up to 10 ms.
 */
export function fastAesGcm(): Cipher | undefined {
  if (aesGcm === undefined) aesGcm = findAesGcm() ?? null;
  return aesGcm ?? undefined;
}

function findAesGcm(): Cipher | undefined {
  const found = others();
  const gcm = found?.aesGcm ?? native()?.aesGcm;
  const poly = found?.chachaPoly ?? native();
  try {
    return gcm && poly && isWellFaster(gcm, poly) ? gcm : undefined;
  } catch {
    return undefined; // A platform without it.
  }
}

/** By so much that it is worth a cipher of its own. */
export function isWellFaster(cipher: Cipher, than: Cipher): boolean {
  return timeOf(cipher) < WELL * timeOf(than);
}

/** Of those that are there. */
function fastest(ciphers: readonly (Cipher | undefined)[]): Cipher {
  return ciphers
    .filter((cipher) => cipher !== undefined)
    .map((cipher) => ({ cipher, time: timeOf(cipher) }))
    .reduce((best, next) => next.time < best.time ? next : best).cipher;
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
