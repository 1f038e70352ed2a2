/** `ssh-ed25519` (RFC 8709) for the SSH library, which lacks it, by the platform's own Ed25519. */

import {
  type KeyPair,
  PublicKeyAlgorithm,
  SshDataReader,
  SshDataWriter,
} from "@microsoft/dev-tunnels-ssh";
import { Buffer } from "buffer";

const NAME = "ssh-ed25519";
const WEB = { name: "Ed25519" };
/** Bytes of a private key in PKCS #8 before the 32 of the key itself (RFC 8410, section 7). */
const PKCS8 = Uint8Array.fromHex("302e020100300506032b657004220420");

type Bytes = Uint8Array<ArrayBuffer>;

export class Ed25519 extends PublicKeyAlgorithm {
  constructor() {
    super(NAME, NAME, "SHA2-512");
  }

  createKeyPair(): Ed25519KeyPair {
    return new Ed25519KeyPair();
  }

  async generateKeyPair(): Promise<Ed25519KeyPair> {
    const pair = this.createKeyPair();
    await pair.generate();
    return pair;
  }

  createSigner(pair: KeyPair) {
    return {
      digestLength: 64,
      sign: (data: Buffer) => (pair as Ed25519KeyPair).sign(data),
      dispose() {},
    };
  }

  createVerifier(pair: KeyPair) {
    return {
      digestLength: 64,
      verify: (data: Buffer, signature: Buffer) => (pair as Ed25519KeyPair).verify(data, signature),
      dispose() {},
    };
  }
}

export class Ed25519KeyPair implements KeyPair {
  readonly keyAlgorithmName = NAME;
  comment: string | null = null;
  #public?: Bytes;
  #private?: CryptoKey;

  /** @param seed 32 bytes, of which the platform keeps what cannot be read again */
  static async of(key: Bytes, seed: Bytes): Promise<Ed25519KeyPair> {
    const pair = new Ed25519KeyPair();
    const pkcs8 = new Uint8Array([...PKCS8, ...seed]);
    pair.#public = key;
    pair.#private = await crypto.subtle.importKey("pkcs8", pkcs8, WEB, false, ["sign"]);
    return pair;
  }

  get hasPublicKey(): boolean {
    return this.#public !== undefined;
  }

  get hasPrivateKey(): boolean {
    return this.#private !== undefined;
  }

  setPublicKeyBytes(bytes: Buffer): Promise<void> {
    const reader = new SshDataReader(bytes);
    const name = reader.readString("ascii");
    const key = reader.readBinary();
    if (name !== NAME || key.length !== 32) throw new Error("this is no key of Ed25519");
    this.#public = new Uint8Array(key);
    return Promise.resolve();
  }

  getPublicKeyBytes(): Promise<Buffer | null> {
    if (!this.#public) return Promise.resolve(null);
    const writer = new SshDataWriter(Buffer.alloc(NAME.length + 40));
    writer.writeString(NAME, "ascii");
    writer.writeBinary(Buffer.from(this.#public));
    return Promise.resolve(writer.toBuffer());
  }

  async generate(): Promise<void> {
    const made = await crypto.subtle.generateKey(WEB, false, ["sign", "verify"]) as CryptoKeyPair;
    this.#private = made.privateKey;
    this.#public = new Uint8Array(await crypto.subtle.exportKey("raw", made.publicKey));
  }

  importParameters(): Promise<void> {
    return Promise.reject(new Error("keys of Ed25519 have no such parameters"));
  }

  exportParameters(): Promise<never> {
    return Promise.reject(new Error("keys of Ed25519 have no such parameters"));
  }

  async sign(data: Uint8Array): Promise<Buffer> {
    if (!this.#private) throw new Error("there is no private key");
    return Buffer.from(await crypto.subtle.sign(WEB, this.#private, new Uint8Array(data)));
  }

  async verify(data: Uint8Array, signature: Uint8Array): Promise<boolean> {
    const key = await crypto.subtle.importKey("raw", this.#public!, WEB, false, ["verify"]);
    return await crypto.subtle.verify(WEB, key, new Uint8Array(signature), new Uint8Array(data));
  }

  dispose(): void {}
}
