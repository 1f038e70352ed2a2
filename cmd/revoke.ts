/** `tunnel revoke`: ends what a member has, or one grant. */

import { quote, TunnelError } from "../core/errors.ts";
import { parseDeviceId, parseOperatorName } from "../core/names.ts";
import type { Change } from "../core/policy/change.ts";
import { administer } from "./administration.ts";
import type { Context } from "./context.ts";
import { print } from "./process.ts";

export async function revoke(context: Context, what: string, name: string): Promise<void> {
  const change = readChange(what, name, context.options.flag("unseen"));
  await administer(context, (relay) => relay.change(change));
  print(`revoked ${what} ${name}`);
}

/** @throws {TunnelError} `usage` */
function readChange(what: string, text: string, unseen: boolean): Change {
  switch (what) {
    case "operator":
      return { type: "revoke-member", role: what, name: parseOperatorName(text), unseen };
    case "device":
      return { type: "revoke-member", role: what, name: parseDeviceId(text), unseen };
    case "grant":
      if (/^[a-z2-7]{8}$/.test(text)) return { type: "revoke-grant", id: text };
      throw new TunnelError("usage", {
        action: "read the ID of a grant",
        state: `${quote(text)} is not one`,
        remedy: "it is 8 characters, as `tunnel grants` shows them",
      });
    default:
      throw new TunnelError("usage", {
        action: "revoke",
        state: `${quote(what)} is neither operator, device nor grant`,
        remedy: "use `tunnel revoke operator NAME`, `device ID` or `grant ID`",
      });
  }
}
