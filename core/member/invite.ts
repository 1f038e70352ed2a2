/** Invitations: a change at the relay, and the join string that goes with it. */

import type { Role } from "../identity/credential.ts";
import { encodeJoin, hashSecret, type Join, newSecret } from "../identity/join.ts";
import type { Change, Rights } from "../policy/change.ts";
import { formatScope, parseScope } from "../policy/grant.ts";

/** Milliseconds that an invitation is good for by default: an hour. */
export const DEFAULT_INVITE_TTL = 3_600_000;

/** Whom to invite, and to what. */
export interface Invitation {
  readonly role: Role;
  /** A device's ID, or an operator's name. */
  readonly name: string;
  /** Milliseconds that the join string is good for; default 3,600,000. */
  readonly ttl?: number;
  /** How often it may be used, 1 to 1,000; default 1. */
  readonly uses?: number;
  /** Milliseconds that the credentials are valid; default 30 days for a device, else 12 hours. */
  readonly validity?: number;
  /** An operator's, added to those that the name has: `x:22`, `line3-*:22,443`; at most 64. */
  readonly grants?: readonly { readonly scope: string; readonly until?: number }[];
  /** An operator's, in place of those that the name has. */
  readonly rights?: Rights;
  /** The relay as the newcomer reaches it, `tunnel://host:port`, where that is otherwise. */
  readonly relay?: string;
}

/**
 * Has the change made and gives the join string, which nothing keeps: hand it over like a password.
 *
 * @throws {TunnelError} `usage`, and what `change` throws
 */
export async function invite(
  { role, name, ttl = DEFAULT_INVITE_TTL, uses = 1, validity, grants, rights, relay }: Invitation,
  fleet: Pick<Join, "relay" | "authority" | "root">,
  change: (change: Change) => Promise<unknown>,
): Promise<string> {
  const secret = newSecret();
  // Before anything is changed: it throws at names and addresses that are none.
  const join = encodeJoin({ ...fleet, relay: relay ?? fleet.relay, role, name, secret });
  await change({
    type: "invite",
    role,
    name,
    secretHash: await hashSecret(secret),
    expiresAt: Date.now() + ttl,
    uses,
    validity,
    grants: grants?.map(({ scope, until }) => ({ scope: formatScope(parseScope(scope)), until })),
    rights,
  });
  return join;
}
