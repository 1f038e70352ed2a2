/** `tunnel invite`: makes a join string for a new device or operator. */

import { type Invitation, invite as makeInvitation } from "../core/member/invite.ts";
import { parseDeviceId, parseDuration, parseOperatorName, parseRelayUrl } from "../core/names.ts";
import { MAX_USES } from "../core/policy/change.ts";
import { TunnelError } from "../core/errors.ts";
import { administer } from "./administration.ts";
import type { Context } from "./context.ts";
import { readGrants } from "./grant.ts";
import { formatInstant } from "./instant.ts";
import { parseCount } from "./parse.ts";
import { print } from "./process.ts";

export async function invite(context: Context, role: string, nameText: string): Promise<void> {
  const { options, log } = context;
  if (role !== "device" && role !== "operator") {
    throw new TunnelError("usage", {
      action: "invite",
      state: `${JSON.stringify(role)} is neither device nor operator`,
      remedy: "use `tunnel invite device ID` or `tunnel invite operator NAME`",
    });
  }
  const name = role === "device" ? parseDeviceId(nameText) : parseOperatorName(nameText);
  const ttl = parseDuration(options.text("ttl") ?? "1h");
  const uses = parseCount(options.text("uses") ?? "1", 1, MAX_USES);
  const validity = options.text("validity");
  const named = options.text("public");
  if (named !== undefined) parseRelayUrl(named);
  const operators = role === "operator" ? ofOperators(context) : checkNone(context);
  await administer(context, async (relay) => {
    const fleet = await relay.fleet({ role, name });
    const invitation: Invitation = {
      ...{ role, name, ttl, uses, relay: named },
      ...(validity !== undefined && { validity: parseDuration(validity) }),
      ...operators,
    };
    const join = await makeInvitation(invitation, fleet, relay.change);
    const expiresAt = Date.now() + ttl;
    log.info("invited", { [role]: name, uses, until: formatInstant(expiresAt) });
    if (operators?.grants.length === 0) hint(name, await relay.grants(name));
    print(join);
  });
}

/** What an operator is to have from the beginning. Rights that it had stay where none is named. */
function ofOperators({ options }: Context) {
  const [admin, approver] = [options.flag("admin"), options.flag("approver")];
  const scopes = options.list("grant") ?? [];
  if (scopes.length === 0 && options.own("until") !== undefined) {
    const state = "--until is when grants end, and there is no --grant";
    throw new TunnelError("usage", { action: "invite", state });
  }
  const grants = readGrants(scopes, options.text("until"));
  return { grants, ...((admin || approver) && { rights: { admin, approver } }) };
}

/** @throws {TunnelError} `usage` */
function checkNone({ options }: Context): undefined {
  if (!options.own("grant") && !options.own("admin") && !options.own("approver")) return;
  throw new TunnelError("usage", {
    action: "invite a device",
    state: "--grant, --admin and --approver are for operators",
    remedy: "say what a device offers where it runs: tunnel device --allow",
  });
}

/** For whoever wonders later why nothing can be dialled. */
function hint(name: string, grants: readonly unknown[]): void {
  if (grants.length > 0) return;
  console.error(`${name} may reach nothing yet; give a grant: tunnel grant ${name} 'DEVICE:22'`);
}
