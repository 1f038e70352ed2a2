/** The library on a fleet in this process, and join strings for it. */

import type { Role } from "../core/identity/credential.ts";
import { encodeJoin, hashSecret, newSecret } from "../core/identity/join.ts";
import type { PublicJwk } from "../core/identity/keys.ts";
import type { Runtime } from "../core/member/open.ts";
import { EVERYTHING } from "../core/policy/grant.ts";
import type { Store } from "../core/store.ts";
import type { Fleet } from "./fleet.ts";

/** A runtime whose sessions are the fleet's, and whose local targets answer by an echo. */
export function runtimeOf(
  { connector }: Pick<Fleet, "connector">,
  connectTcp: Runtime["connectTcp"],
): Runtime {
  return { connector: () => connector, connectTcp };
}

/** Where a fleet is, as join strings say it. */
export interface Whereabouts {
  readonly store: Store;
  readonly relay: string;
  readonly authority: PublicJwk;
  readonly root?: string;
}

/** The whereabouts of a fleet in this process. */
export function whereabouts({ store, url, authority }: Fleet): Whereabouts {
  return { store, relay: url.href, authority: authority.publicJwk };
}

/** A join string; an operator's comes with a grant for everything unless said otherwise. */
export async function invite(
  { store, relay, authority, root }: Whereabouts,
  role: Role,
  name: string,
  scopes: readonly string[] = [EVERYTHING],
): Promise<string> {
  const secret = newSecret();
  const at = Date.now();
  const grants = scopes.map((scope) => ({ scope }));
  await store.apply({
    type: "invite",
    ...{ role, name, uses: 1, expiresAt: at + 60_000, secretHash: await hashSecret(secret) },
    ...(role === "operator" && { grants }),
  }, { by: "local:test", at });
  return encodeJoin({ relay, role, name, secret, authority, root });
}
