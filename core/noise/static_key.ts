/** The key that an endpoint is known by in handshakes, and agreement on a secret with another's. */

import { base64url } from "jose";
import * as v from "valibot";
import { describe, TunnelError } from "../errors.ts";
import { PrivateAgreementJwk } from "../identity/keys.ts";
import { platformSuite } from "./platform_suite.ts";
import { DH_LENGTH, type KeyPair, type Suite } from "./suite.ts";

/** Agreements with other static keys that a {@linkcode StaticKey} remembers. */
export const REMEMBERED = 1_024;
/** The u-coordinate 9 (RFC 7748, section 4.1): agreeing with it gives one's own public key. */
const BASE_POINT = Uint8Array.of(9, ...new Uint8Array(DH_LENGTH - 1));

/**
 * A static key pair of X25519. Each endpoint keeps one object for as long as it runs: what it agrees
 * on with another static key never changes, so it remembers that for the {@linkcode REMEMBERED} used
 * last. What is remembered is as secret as the key itself, and lies where the key lies.
 */
export class StaticKey {
  readonly #pair: KeyPair;
  /** By public key; the one used longest ago comes first. */
  readonly #agreed = new Map<string, Uint8Array>();

  private constructor(pair: KeyPair) {
    this.#pair = pair;
  }

  /**
   * Takes a private key: as a JSON Web Key, as its 32 bytes, or as a CryptoKey with the usage
   * `deriveBits`, which need not be extractable and costs a turn of the event loop per agreement.
   *
   * @throws {TunnelError} `usage` when it is none of these, or a JWK's halves do not belong together;
   * the message never shows the key
   */
  static async import(
    key: PrivateAgreementJwk | Uint8Array | CryptoKey,
    suite: Suite = platformSuite(),
  ): Promise<StaticKey> {
    if (key instanceof CryptoKey) return new StaticKey(await fromCryptoKey(key));
    if (!(key instanceof Uint8Array)) return new StaticKey(fromJwk(key, suite));
    if (key.length !== DH_LENGTH) throw unusable(`it has ${key.length} bytes, not ${DH_LENGTH}`);
    return new StaticKey(suite.importKeyPair(key));
  }

  /** 32 bytes. */
  get publicKey(): Uint8Array<ArrayBuffer> {
    return this.#pair.publicKey.slice();
  }

  /**
   * @param remote 32 bytes
   * @throws {TunnelError} `protocol` when `remote` is of low order
   */
  agree(remote: Uint8Array): Promise<Uint8Array> {
    return agree(this.#pair, remote);
  }

  /** {@linkcode StaticKey.agree} with a key that comes again, and so is remembered. */
  async agreeStatic(remote: Uint8Array): Promise<Uint8Array> {
    const name = String.fromCharCode(...remote);
    const shared = this.#agreed.get(name) ?? await this.agree(remote);
    this.#agreed.delete(name);
    this.#agreed.set(name, shared);
    if (this.#agreed.size > REMEMBERED) {
      const [oldest] = this.#agreed.keys();
      this.#agreed.delete(oldest!);
    }
    return shared;
  }
}

/**
 * DH of the Noise Protocol Framework, section 12.1, with the check that it leaves to applications:
 * with a public key of low order both ends, and everyone else, would know the result.
 *
 * @throws {TunnelError} `protocol` when `remote` is of low order
 */
export async function agree(pair: KeyPair, remote: Uint8Array): Promise<Uint8Array> {
  let shared: Uint8Array;
  try {
    shared = await pair.agree(remote);
  } catch (cause) {
    throw lowOrder(cause);
  }
  if (shared.every((byte) => byte === 0)) throw lowOrder();
  return shared;
}

function fromJwk(jwk: unknown, suite: Suite): KeyPair {
  const result = v.safeParse(PrivateAgreementJwk, jwk);
  if (!result.success) throw unusable("it is not an X25519 private key");
  const pair = suite.importKeyPair(base64url.decode(result.output.d));
  if (base64url.encode(pair.publicKey) !== result.output.x) {
    throw unusable("its public and private halves do not belong together");
  }
  return pair;
}

async function fromCryptoKey(key: CryptoKey): Promise<KeyPair> {
  const agree = async (remote: Uint8Array) => {
    const bytes = remote as Uint8Array<ArrayBuffer>;
    const name = "X25519";
    const publicKey = await crypto.subtle.importKey("raw", bytes, name, false, []);
    return new Uint8Array(await crypto.subtle.deriveBits({ name, public: publicKey }, key, 256));
  };
  try {
    return { publicKey: await agree(BASE_POINT), agree };
  } catch (cause) {
    throw unusable(describe(cause), cause);
  }
}

function lowOrder(cause?: unknown): TunnelError {
  return new TunnelError("protocol", {
    action: "agree on a key",
    state: "the other end's public key is not one to agree with",
    remedy: "check that both ends run versions that go together",
    cause,
  });
}

function unusable(state: string, cause?: unknown): TunnelError {
  return new TunnelError("usage", { action: "read a private key", state, cause });
}
