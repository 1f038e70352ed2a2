/**
 * The suite by `node:crypto`, which answers at once: no turn of the event loop between the steps of a
 * handshake or the records of a channel. It is asked for at run time and never imported, so that a
 * bundle for browsers has nothing to resolve.
 */

import { concat } from "../bytes.ts";
import { type CipherCrypto, NativeCipher, plain } from "./native_cipher.ts";
import { type Cipher, type KeyPair, type Suite, TAG_LENGTH } from "./suite.ts";

const EMPTY = new Uint8Array(0);
/** DER in front of the 32 bytes of an X25519 private key, and of a public one (RFC 8410). */
const PKCS8 = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20);
const SPKI = Uint8Array.of(0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0);

/** The suite by `node:crypto`; null where there is none, or it lacks one of the primitives. */
export function loadNativeSuite(): NativeSuite | null {
  const { process } = globalThis as { process?: Process };
  const crypto = process?.getBuiltinModule?.("node:crypto") as Crypto | undefined;
  const buffer = process?.getBuiltinModule?.("node:buffer") as { Buffer: Buffers } | undefined;
  if (!process || !crypto || !buffer) return null;
  const suite = new NativeSuite(crypto, buffer.Buffer, process.versions.deno !== undefined);
  try {
    const { publicKey, agree } = suite.generateKeyPair();
    const key = suite.hkdf(suite.hash(publicKey, EMPTY), EMPTY, 2).subarray(0, 32);
    agree(publicKey);
    suite.seal(key, key.subarray(0, 12), EMPTY, new Uint8Array(TAG_LENGTH));
  } catch {
    // Whichever of them is missing (a FIPS build, a partial `node:crypto`), the other suite has it.
    return null;
  }
  return suite;
}

export class NativeSuite extends NativeCipher implements Suite {
  /** The other cipher of Noise (section 12.4): many times as fast in Node as in Deno, which is slow at it. */
  readonly aesGcm: Cipher;
  readonly #crypto: Crypto;
  readonly #buffer: Buffers;
  readonly #readsDer: boolean;

  /** @param readsDer whether it reads DER fast: Deno does, Node takes ten times as long as for JWK */
  constructor(crypto: Crypto, buffer: Buffers, readsDer: boolean) {
    super(crypto, "chacha20-poly1305");
    this.#crypto = crypto;
    this.#buffer = buffer;
    this.#readsDer = readsDer;
    this.aesGcm = new NativeCipher(crypto, "aes-256-gcm");
  }

  generateKeyPair(): KeyPair {
    const { publicKey, privateKey } = this.#crypto.generateKeyPairSync("x25519");
    return this.#keyPair(publicKey, privateKey);
  }

  importKeyPair(privateKey: Uint8Array): KeyPair {
    const key = concat([PKCS8, privateKey]);
    const handle = this.#crypto.createPrivateKey({ key, format: "der", type: "pkcs8" });
    return this.#keyPair(this.#crypto.createPublicKey(handle), handle);
  }

  hash(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
    return plain(this.#crypto.createHash("sha256").update(first).update(second).digest());
  }

  hkdf(
    chainingKey: Uint8Array,
    material: Uint8Array,
    outputs: 2 | 3,
  ): Uint8Array<ArrayBuffer> {
    const length = outputs * 32;
    return new Uint8Array(this.#crypto.hkdfSync("sha256", material, chainingKey, EMPTY, length));
  }

  #keyPair(publicKey: KeyObject, privateKey: KeyObject): KeyPair {
    const { x } = publicKey.export({ format: "jwk" });
    return {
      publicKey: new Uint8Array(this.#buffer.from(x, "base64url")),
      agree: (remote) => {
        const publicKey = this.#publicKey(remote);
        return plain(this.#crypto.diffieHellman({ privateKey, publicKey }));
      },
    };
  }

  /** The form that is read fast makes a third of a handshake's time. */
  #publicKey(bytes: Uint8Array): KeyObject {
    if (this.#readsDer) {
      const key = concat([SPKI, bytes]);
      return this.#crypto.createPublicKey({ key, format: "der", type: "spki" });
    }
    const x = this.#buffer.from(bytes).toString("base64url");
    return this.#crypto.createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" });
  }
}

interface Process {
  readonly versions: { readonly deno?: string };
  getBuiltinModule?(name: string): unknown;
}

/** What is used of `node:crypto`, declared here because naming the module's types would import it. */
interface Crypto extends CipherCrypto {
  generateKeyPairSync(type: "x25519"): { publicKey: KeyObject; privateKey: KeyObject };
  createPrivateKey(input: { key: Uint8Array; format: "der"; type: "pkcs8" }): KeyObject;
  createPublicKey(
    input:
      | KeyObject
      | { key: object; format: "jwk" }
      | { key: Uint8Array; format: "der"; type: "spki" },
  ): KeyObject;
  diffieHellman(keys: { privateKey: KeyObject; publicKey: KeyObject }): Uint8Array;
  createHash(name: string): Hash;
  hkdfSync(
    hash: string,
    material: Uint8Array,
    salt: Uint8Array,
    info: Uint8Array,
    length: number,
  ): ArrayBuffer;
}

interface KeyObject {
  export(options: { format: "jwk" }): { x: string };
}

interface Hash {
  update(bytes: Uint8Array): Hash;
  digest(): Uint8Array;
}

interface Buffers {
  from(text: string, encoding: "base64url"): Uint8Array;
  from(bytes: Uint8Array): { toString(encoding: "base64url"): string };
}
