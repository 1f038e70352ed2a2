/** `tunnel invite`: makes a join string for a new device or operator. */

import { TunnelError } from "../core/errors.ts";
import { encodeJoin, hashSecret, newSecret } from "../core/identity/join.ts";
import { cannotIssue } from "../core/relay/issuing.ts";
import { parseDeviceId, parseDuration, parseOperatorName } from "../core/names.ts";
import { EVERYTHING } from "../core/policy/grant.ts";
import { localAuthor } from "./author.ts";
import type { Context } from "./context.ts";
import { parseCount } from "./parse.ts";
import { print } from "./process.ts";

export async function invite(context: Context, role: string, nameText: string): Promise<void> {
  const { options, home, log, env } = context;
  if (role !== "device" && role !== "operator") {
    throw new TunnelError("usage", {
      action: "invite",
      state: `${JSON.stringify(role)} is neither device nor operator`,
      remedy: "use `tunnel invite device ID` or `tunnel invite operator NAME`",
    });
  }
  const name = role === "device" ? parseDeviceId(nameText) : parseOperatorName(nameText);
  const ttl = parseDuration(options.text("ttl") ?? "1h");
  const uses = parseCount(options.text("uses") ?? "1", 1, 1_000);
  const endpoint = await home.relayEndpoint();
  const authority = await home.issuer();
  if (endpoint?.authority) throw cannotIssue({ role, name }).during("invite");
  const url = options.text("public") ?? endpoint?.url;
  if (!url || !authority) {
    throw new TunnelError("refused", {
      action: "invite",
      state: `no relay has run yet with ${home.path}`,
      remedy: "run this on the relay's machine, with its --home, after `tunnel relay`",
    });
  }
  const secret = newSecret();
  await using store = await home.openStore();
  const author = localAuthor(env);
  const expiresAt = author.at + ttl;
  await store.apply({
    type: "invite",
    role,
    name,
    secretHash: await hashSecret(secret),
    expiresAt,
    uses,
    grants: role === "operator" ? [{ scope: EVERYTHING }] : undefined,
  }, author);
  log.info("invited", { [role]: name, uses, until: new Date(expiresAt).toISOString() });
  print(
    encodeJoin({
      relay: url,
      role,
      name,
      secret,
      authority: authority.publicJwk,
      root: endpoint?.root,
    }),
  );
}
