/** What a member keeps: who it is, its keys and credential, and the relay of its fleet. */

import * as v from "valibot";
import { TunnelError } from "../errors.ts";
import type { Role } from "../identity/credential.ts";
import { PrivateAgreementJwk, PrivateJwk, PublicJwk } from "../identity/keys.ts";
import {
  areJwks,
  type JwkKeys,
  type KeyForm,
  type MemberKeys,
  type MemberState,
} from "../membership.ts";

/** An identity whose keys are JSON, as files hold it. */
export const JwkIdentity = v.object({
  role: v.picklist(["device", "operator"]),
  name: v.string(),
  /** `tunnel://host:port` */
  relay: v.string(),
  /** The relay's root certificate, PEM, where it is not one that everybody trusts. */
  root: v.optional(v.string()),
  /** The fleet authority's public key. */
  authority: PublicJwk,
  credential: v.string(),
  privateKey: PrivateJwk,
  /** For the handshake of channels. */
  agreementKey: PrivateAgreementJwk,
  /** `hashSecret` of the join string by which it came; none where it was signed elsewhere. */
  joinedBy: v.optional(v.string()),
});
export type JwkIdentity = v.InferOutput<typeof JwkIdentity>;

/**
 * What a member keeps, as secret as a password: whoever has it is the member. Its keys are JSON, or
 * CryptoKeys that nobody can read.
 */
export type Identity<K extends MemberKeys = MemberKeys> =
  & Omit<JwkIdentity, "privateKey" | "agreementKey" | "credential">
  & MemberState<K>;

/** Where a member keeps its identity between one run of its program and the next. */
export interface MemberStore {
  /** The form of keys that it can keep: `jwk` where they are written down, `sealed` where not. */
  readonly form: KeyForm;
  /**
   * @param name a device's ID; a store has at most one operator, whatever its name
   * @throws {TunnelError} `unavailable` when it cannot be read
   */
  load(role: Role, name?: string): Promise<Identity | undefined>;
  /**
   * Keeps an identity, in the place of the one of the same role, and a device's of the same name.
   *
   * @throws {TunnelError} `unavailable` when it cannot be written
   */
  save(identity: Identity): Promise<void>;
  /**
   * Puts new keys and a new credential in the place of those before. When these are not kept any
   * more, because somebody else has changed the store, nothing is written and the result is false.
   *
   * @param before the credential that is to be replaced
   * @throws {TunnelError} `unavailable` when it cannot be written
   */
  replace(
    member: Pick<Identity, "role" | "name">,
    before: string,
    next: MemberState,
  ): Promise<boolean>;
}

/**
 * The same, for a store that writes keys down.
 *
 * @throws {TunnelError} `usage` when they are CryptoKeys
 */
export function asJwks<T extends MemberKeys>(kept: T): T & JwkKeys {
  if (areJwks(kept)) return kept;
  throw new TunnelError("usage", {
    action: "keep an identity",
    state: "this store writes keys down, and these cannot be read",
    remedy: "join with this store, or keep the identity where it is",
  });
}

/**
 * An identity from its JSON, as files of the command line and {@linkcode memoryStore} have it.
 *
 * @throws {TunnelError} `usage`; neither the message nor its causes show any of the text
 *
 * @example
 * ```ts
 * import { connect, parseIdentity } from "@tunnel/tunnel";
 *
 * const identity = parseIdentity(prompt("Your operator.json?") ?? "");
 * await using fleet = await connect({ identity });
 * ```
 */
export function parseIdentity(json: string): JwkIdentity {
  try {
    return v.parse(JwkIdentity, JSON.parse(json));
  } catch {
    // The cause would quote the text, which holds a private key.
    throw new TunnelError("usage", {
      action: "read an identity",
      state: "it is not the JSON of one",
      remedy: "give the whole of a file such as operator.json or devices/ID.json of a home",
    });
  }
}
