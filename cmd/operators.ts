/** `tunnel operators`: who they are, and what they may do beside dialling. */

import { administer } from "./administration.ts";
import type { Context } from "./context.ts";
import { formatInstant } from "./instant.ts";
import { toJson } from "./json.ts";
import { print } from "./process.ts";
import { formatRights } from "./rights.ts";
import { table } from "./table.ts";

export async function operators(context: Context): Promise<void> {
  const all = await administer(context, (relay) => relay.operators());
  if (context.options.flag("json")) {
    const shown = all.map(({ name, since, admin, approver, revokedAt }) => ({
      ...{ name, since: formatInstant(since), admin, approver },
      revokedAt: revokedAt === undefined ? null : formatInstant(revokedAt),
    }));
    return print(toJson(shown, 2));
  }
  if (all.length === 0) return print("there is no operator yet: tunnel invite operator NAME");
  const rows = all.map(({ name, since, revokedAt, ...rights }) => [
    name,
    formatRights(rights),
    formatInstant(since),
    revokedAt === undefined ? "" : formatInstant(revokedAt),
  ]);
  print(table([["OPERATOR", "RIGHTS", "SINCE", "REVOKED"], ...rows]));
}
