/** Changes to who may do what in a fleet, made as another process would make them. */

import type { Change } from "../core/policy/change.ts";
import type { Fleet } from "./fleet.ts";

export async function apply(fleet: Fleet, change: Change): Promise<void> {
  await fleet.store.apply(change, { by: "local:test", at: Date.now() });
}

export function revoke(role: "operator" | "device", name: string): Change {
  return { type: "revoke-member", role, name };
}

/** Takes every grant away that operator anna has. */
export async function revokeGrants(fleet: Fleet): Promise<void> {
  const { grants } = await fleet.store.policy();
  for (const { id, operator } of grants) {
    if (operator === "anna") await apply(fleet, { type: "revoke-grant", id });
  }
}
