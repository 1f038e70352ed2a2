/** Takes what an offline authority has signed for a request of this home. */

import { TunnelError } from "../core/errors.ts";
import { type Role, unverified, Verifier } from "../core/identity/credential.ts";
import { thumbprint } from "../core/identity/keys.ts";
import { decodeSigned, type Signed } from "../core/identity/signed.ts";
import type { JwkKeys } from "../core/membership.ts";
import type { Identity, Pending } from "../stores/home.ts";
import type { Context } from "./context.ts";

/**
 * The identity that a signed string makes with the keys that this home keeps. One that is older than
 * the identity of this home is not used, so that it may stay on the command line of a service.
 *
 * @throws {TunnelError} `usage` when it is for another member; `refused` when it does not fit the
 * keys, or is not of the authority that is expected
 */
export async function takeSigned(
  { home, log }: Context,
  text: string,
  role: Role,
  name: string | undefined,
): Promise<Identity> {
  const signed = decodeSigned(text);
  const given = unverified(signed.credential);
  if (given.role !== role || (name !== undefined && given.name !== name)) {
    throw new TunnelError("usage", {
      action: "use the signed string",
      state: `it is for ${given.role} ${given.name}, not for ${role} ${name ?? ""}`.trim(),
      remedy: `make a request and have it signed: tunnel request ${role} ${name ?? "NAME"}`,
    });
  }
  const file = await home.members.read(role, given.name);
  const kept = file?.value.name === given.name ? file.value : undefined;
  const isOfFleet = kept?.authority.x === signed.authority.x;
  if (kept && isOfFleet && unverified(kept.credential).issuedAt >= given.issuedAt) return kept;
  const pending = await home.pending(role, given.name);
  const { key, agreement } = await new Verifier(signed.authority).verify(signed.credential);
  const fits = ({ privateKey, agreementKey }: JwkKeys) =>
    privateKey.x === key.x && agreementKey.x === agreement.x;
  const keys = [pending, kept].find((keys) => keys && fits(keys));
  if (!keys) {
    throw new TunnelError("refused", {
      action: "use the signed string",
      state: `it is not for the keys that this home keeps for ${role} ${given.name}`,
      remedy: `make a request here and have it signed: tunnel request ${role} ${given.name}`,
    });
  }
  await checkAuthority(signed, keys);
  const identity: Identity = {
    role,
    name: given.name,
    ...whereabouts(signed, kept),
    authority: signed.authority,
    credential: signed.credential,
    privateKey: keys.privateKey,
    agreementKey: keys.agreementKey,
  };
  await home.members.save(identity);
  if (keys === pending) await home.removePending(pending);
  const print = await thumbprint(identity.authority);
  log.info("joined", { [role]: identity.name, relay: identity.relay, authority: print });
  return identity;
}

async function checkAuthority({ authority }: Signed, keys: Identity | Pending): Promise<void> {
  const expected = keys.authority;
  if (!expected || expected.x === authority.x) return;
  const [is, was] = await Promise.all([authority, expected].map(thumbprint));
  throw new TunnelError("refused", {
    action: "use the signed string",
    state: `it was signed by the authority ${is}, and ${was} is expected`,
    remedy: "have the request signed by the fleet's own authority",
  });
}

/** Where the relay is: as the string says, else where it was. */
function whereabouts(
  { relay, root }: Signed,
  kept: Identity | undefined,
): Pick<Identity, "relay" | "root"> {
  if (relay !== undefined) return { relay, root };
  if (kept) return { relay: kept.relay, root: root ?? kept.root };
  throw new TunnelError("usage", {
    action: "use the signed string",
    state: "it names no relay, and this home knows none",
    remedy: "have it signed with the address: tunnel authority sign --relay tunnel://HOST:PORT",
  });
}
