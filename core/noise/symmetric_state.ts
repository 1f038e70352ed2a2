/** What the two ends of a handshake have agreed on so far (Noise, section 5.2). */

import { CipherState, type CipherStateOptions } from "./cipher_state.ts";
import { HASH_LENGTH, type Suite, TAG_LENGTH } from "./suite.ts";

/** What a finished handshake leaves. */
export interface Outputs {
  /** Seals what the initiator sends. */
  readonly initiator: CipherState;
  /** Seals what the responder sends. */
  readonly responder: CipherState;
  /** 32 bytes, secret and independent of the keys. */
  readonly exported: Uint8Array<ArrayBuffer>;
}

export class SymmetricState {
  readonly #suite: Suite;
  #chainingKey: Uint8Array;
  #hash: Uint8Array<ArrayBuffer>;
  #cipher?: CipherState;

  constructor(protocolName: string, suite: Suite) {
    this.#suite = suite;
    const name = new TextEncoder().encode(protocolName);
    this.#hash = name.length > HASH_LENGTH ? suite.hash(name, EMPTY) : new Uint8Array(HASH_LENGTH);
    if (name.length <= HASH_LENGTH) this.#hash.set(name);
    this.#chainingKey = this.#hash;
  }

  /** Over everything that was sent and mixed in. */
  get hash(): Uint8Array<ArrayBuffer> {
    return this.#hash;
  }

  /** Bytes that {@linkcode SymmetricState.encrypt} adds: none before there is a key. */
  get overhead(): number {
    return this.#cipher ? TAG_LENGTH : 0;
  }

  mixHash(data: Uint8Array): void {
    this.#hash = this.#suite.hash(this.#hash, data);
  }

  mixKey(material: Uint8Array): void {
    const [chainingKey, key] = this.#derive(material, 2);
    this.#chainingKey = chainingKey!;
    this.#cipher = new CipherState(key!, {}, this.#suite);
  }

  mixKeyAndHash(material: Uint8Array): void {
    const [chainingKey, data, key] = this.#derive(material, 3);
    this.#chainingKey = chainingKey!;
    this.mixHash(data!);
    this.#cipher = new CipherState(key!, {}, this.#suite);
  }

  encrypt(message: Uint8Array): Uint8Array {
    if (!this.#cipher) {
      this.mixHash(message);
      return message;
    }
    const sealed = new Uint8Array(message.length + TAG_LENGTH);
    this.#cipher.seal(this.#hash, [message], sealed, 0);
    this.mixHash(sealed);
    return sealed;
  }

  /**
   * In memory of its own, like what it is decrypted from where there is no key yet.
   *
   * @throws {TunnelError} `protocol` when it is not authentic
   */
  decrypt(sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    const message = this.#cipher ? this.#cipher.open(this.#hash, sealed) : sealed.slice();
    this.mixHash(sealed);
    return message;
  }

  /** The third output is beyond the framework: HKDF's outputs are independent of each other. */
  split(options: CipherStateOptions): Outputs {
    const [initiator, responder, exported] = this.#derive(EMPTY, 3);
    return {
      initiator: new CipherState(initiator!, options, this.#suite),
      responder: new CipherState(responder!, options, this.#suite),
      exported: exported!,
    };
  }

  #derive(material: Uint8Array, outputs: 2 | 3): Uint8Array<ArrayBuffer>[] {
    const all = this.#suite.hkdf(this.#chainingKey, material, outputs);
    return Array.from(
      { length: outputs },
      (_, i) => all.slice(i * HASH_LENGTH, (i + 1) * HASH_LENGTH),
    );
  }
}

const EMPTY = new Uint8Array(0);
