/** Renewals of a fleet's members, in order and otherwise. */

import { Verifier } from "../core/identity/credential.ts";
import { importPrivateKey } from "../core/identity/keys.ts";
import { audienceOf, makeProof, renewalSubject } from "../core/identity/proof.ts";
import type { Link } from "../core/link.ts";
import { SILENT } from "../core/log.ts";
import { generateMemberKeys, type MemberState, publicKeysOf } from "../core/membership.ts";
import { Renewal, type RenewalOptions } from "../core/renewal.ts";
import type { Fleet, Member } from "./fleet.ts";

/** What a member sends to the relay. */
export type RenewRequest = Parameters<Link["renew"]>[0];

/** The renewals of a member over one link; nothing is kept unless told so. */
export function renewalOf(
  fleet: Fleet,
  { identity }: Member,
  link: Link,
  options: Partial<RenewalOptions> = {},
): Renewal {
  return new Renewal({
    membership: identity,
    ...link.principal,
    verifier: new Verifier(fleet.authority.publicJwk),
    links: { link: () => Promise.resolve(link) },
    audience: audienceOf(fleet.url),
    keep: () => Promise.resolve(),
    log: SILENT,
    ...options,
  });
}

/** A request that is in order for that nonce, for the same keys or for new ones. */
export async function requestOf(
  fleet: Fleet,
  state: MemberState,
  nonce: string,
  rotating: boolean,
): Promise<RenewRequest> {
  const keys = rotating ? await generateMemberKeys() : state;
  const { key, agreement } = await publicKeysOf(keys);
  const subject = renewalSubject(state.credential, key, agreement);
  const audience = audienceOf(fleet.url);
  const prove = async ({ privateKey }: typeof keys) =>
    makeProof({ privateKey: await importPrivateKey(privateKey), nonce, audience, subject });
  return {
    credential: state.credential,
    proof: await prove(state),
    rotate: rotating ? { key, agreement, proof: await prove(keys) } : undefined,
  };
}
