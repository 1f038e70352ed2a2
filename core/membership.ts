/** Who a process is to its fleet, as of now: keys and credential, which renewals replace. */

import type { ChannelIdentity } from "./channel/handshake.ts";
import { TunnelError } from "./errors.ts";
import type { Principal, Role, Verifier } from "./identity/credential.ts";
import {
  type AgreementJwk,
  exportAgreementKey,
  exportPrivateKey,
  exportPublicKey,
  generateAgreementKey,
  generateAgreementPair,
  generateKeyPair,
  importPrivateKey,
  parseAgreementJwk,
  parsePublicJwk,
  type PrivateAgreementJwk,
  type PrivateJwk,
  type PublicJwk,
} from "./identity/keys.ts";
import type { CredentialClaim } from "./sign_in.ts";
import { StaticKey } from "./noise/static_key.ts";

/** Both key pairs of a member as JSON, to be kept where only their owner can read them. */
export interface JwkKeys {
  readonly privateKey: PrivateJwk;
  /** For the handshake of channels. */
  readonly agreementKey: PrivateAgreementJwk;
}

/**
 * Both as the platform holds them: used, and kept where the platform can keep them (IndexedDB), but
 * read by nobody, not even by the program whose they are.
 */
export interface SealedKeys {
  /** Ed25519. */
  readonly privateKey: CryptoKeyPair;
  /** X25519, for the handshake of channels. */
  readonly agreementKey: CryptoKeyPair;
}

/** Both key pairs of a member. */
export type MemberKeys = JwkKeys | SealedKeys;

/** Which of the two forms a member's keys have. */
export type KeyForm = "jwk" | "sealed";

/** What a member has, as it is kept. */
export type MemberState<K extends MemberKeys = MemberKeys> = K & { readonly credential: string };

/** New key pairs. */
export function generateMemberKeys(): Promise<JwkKeys>;
export function generateMemberKeys(form: KeyForm): Promise<MemberKeys>;
export async function generateMemberKeys(form: KeyForm = "jwk"): Promise<MemberKeys> {
  if (form === "sealed") {
    return {
      privateKey: await generateKeyPair({ extractable: false }),
      agreementKey: await generateAgreementPair({ extractable: false }),
    };
  }
  const { privateKey } = await generateKeyPair();
  return {
    privateKey: await exportPrivateKey(privateKey),
    agreementKey: await generateAgreementKey(),
  };
}

/** Whether these are keys as JSON. */
export function areJwks(keys: MemberKeys): keys is JwkKeys {
  return "kty" in keys.privateKey && "kty" in keys.agreementKey;
}

/** The form that these have: new keys of the same member are to have it too. */
export function formOf(keys: MemberKeys): KeyForm {
  return areJwks(keys) ? "jwk" : "sealed";
}

/** These keys and their credential, and nothing else of what came with them. */
export function stateOf(keys: MemberKeys, credential: string): MemberState {
  if (areJwks(keys)) {
    const { privateKey, agreementKey } = keys;
    return { credential, privateKey, agreementKey };
  }
  const { privateKey, agreementKey } = keys;
  return { credential, privateKey, agreementKey };
}

/** The halves of a member's keys that others may see. */
export async function publicKeysOf(
  keys: MemberKeys,
): Promise<{ key: PublicJwk; agreement: AgreementJwk }> {
  if (areJwks(keys)) {
    return {
      key: parsePublicJwk(keys.privateKey),
      agreement: parseAgreementJwk(keys.agreementKey),
    };
  }
  const { privateKey, agreementKey } = keys;
  return {
    key: await exportPublicKey(privateKey.publicKey),
    agreement: await exportAgreementKey(agreementKey.publicKey),
  };
}

/**
 * The key that a member signs with.
 *
 * @throws {TunnelError} `usage` when it is none
 */
export async function signingKeyOf(keys: MemberKeys): Promise<CryptoKey> {
  return areJwks(keys) ? await importPrivateKey(keys.privateKey) : keys.privateKey.privateKey;
}

function staticKeyOf(keys: MemberKeys): Promise<StaticKey> {
  return StaticKey.import(areJwks(keys) ? keys.agreementKey : keys.agreementKey.privateKey);
}

/**
 * Keys and credential of a running process. Sign-ins and handshakes read it anew each time, so that
 * a renewal interrupts neither.
 */
export class Membership implements ChannelIdentity {
  #state: MemberState;
  #privateKey: CryptoKey;
  #key: StaticKey;

  private constructor(state: MemberState, privateKey: CryptoKey, key: StaticKey) {
    this.#state = state;
    this.#privateKey = privateKey;
    this.#key = key;
  }

  /** @throws {TunnelError} `usage` when the keys are none */
  static async of(state: MemberState): Promise<Membership> {
    return new Membership(state, await signingKeyOf(state), await staticKeyOf(state));
  }

  get state(): MemberState {
    return this.#state;
  }

  get credential(): string {
    return this.#state.credential;
  }

  /** The key of handshakes. */
  get key(): StaticKey {
    return this.#key;
  }

  /** What to sign in with. */
  claim(): CredentialClaim {
    return { credential: this.#state.credential, privateKey: this.#privateKey };
  }

  /**
   * From now on this process is who `next` says. All of it changes at once.
   *
   * @throws {TunnelError} `usage` when the keys are none
   */
  async replace(next: MemberState): Promise<void> {
    const privateKey = await signingKeyOf(next);
    // A key that stays remembers what it has agreed on.
    const key = isSameAgreement(next, this.#state) ? this.#key : await staticKeyOf(next);
    this.#state = next;
    this.#privateKey = privateKey;
    this.#key = key;
  }
}

function isSameAgreement(one: MemberKeys, other: MemberKeys): boolean {
  if (areJwks(one) && areJwks(other)) return one.agreementKey.d === other.agreementKey.d;
  return one.agreementKey === other.agreementKey;
}

/**
 * Checks a credential that was issued to oneself: a relay cannot hand out another fleet's, or one for
 * somebody else or for other keys.
 *
 * @param now milliseconds since the epoch; default the clock
 * @throws {TunnelError} `refused` when the authority did not sign it, or the clocks differ by more
 * than the tolerance; `protocol` when it is not the one that was asked for
 */
export async function checkIssued(
  credential: string,
  verifier: Verifier,
  expected: { role: Role; name: string; key: PublicJwk; agreement: AgreementJwk },
  now?: number,
): Promise<Principal> {
  const principal = await verifier.verify(credential, { now });
  const { role, name, key, agreement } = principal;
  const isTheirs = role === expected.role && name === expected.name;
  if (isTheirs && key.x === expected.key.x && agreement.x === expected.agreement.x) {
    return principal;
  }
  throw new TunnelError("protocol", {
    action: "take a new credential",
    state: `it is another's than ${expected.role} ${expected.name}'s, or for other keys`,
    remedy: "ask whoever runs the relay",
  });
}
