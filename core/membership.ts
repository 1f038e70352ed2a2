/** Who a process is to its fleet, as of now: keys and credential, which renewals replace. */

import type { ChannelIdentity } from "./channel/handshake.ts";
import { TunnelError } from "./errors.ts";
import type { Principal, Role, Verifier } from "./identity/credential.ts";
import {
  type AgreementJwk,
  exportPrivateKey,
  generateAgreementKey,
  generateKeyPair,
  importPrivateKey,
  parseAgreementJwk,
  parsePublicJwk,
  type PrivateAgreementJwk,
  type PrivateJwk,
  type PublicJwk,
} from "./identity/keys.ts";
import type { CredentialClaim } from "./link.ts";
import { StaticKey } from "./noise/static_key.ts";

/** Both key pairs of a member. */
export interface MemberKeys {
  readonly privateKey: PrivateJwk;
  /** For the handshake of channels. */
  readonly agreementKey: PrivateAgreementJwk;
}

/** What a member has, as it is kept. */
export interface MemberState extends MemberKeys {
  readonly credential: string;
}

/** New key pairs, to be kept where only their owner can read them. */
export async function generateMemberKeys(): Promise<MemberKeys> {
  const { privateKey } = await generateKeyPair();
  return {
    privateKey: await exportPrivateKey(privateKey),
    agreementKey: await generateAgreementKey(),
  };
}

/** The halves of a member's keys that others may see. */
export function publicKeysOf(
  { privateKey, agreementKey }: MemberKeys,
): { key: PublicJwk; agreement: AgreementJwk } {
  return { key: parsePublicJwk(privateKey), agreement: parseAgreementJwk(agreementKey) };
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
    const privateKey = await importPrivateKey(state.privateKey);
    return new Membership(state, privateKey, await StaticKey.import(state.agreementKey));
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
    const same = next.agreementKey.d === this.#state.agreementKey.d;
    const privateKey = await importPrivateKey(next.privateKey);
    // A key that stays remembers what it has agreed on.
    const key = same ? this.#key : await StaticKey.import(next.agreementKey);
    this.#state = next;
    this.#privateKey = privateKey;
    this.#key = key;
  }
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
