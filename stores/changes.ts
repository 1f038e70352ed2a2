/** Changes of who may join and reach what, as every store of tables makes them. */

import type { Role } from "../core/identity/credential.ts";
import type { Author, Change } from "../core/policy/change.ts";
import { type Before, decide, type Outcome, subjectOf } from "../core/policy/decide.ts";
import { alreadyRecorded, INVITE_KEPT, inviteRefusal, type Redeemed } from "../core/store.ts";
import type { PolicyTables } from "./tables.ts";

/** {@linkcode Store.apply} but for the audit trail, whose events are in what it returns. */
export function applyChange(tables: PolicyTables, change: Change, author: Author): Outcome {
  const outcome = decide(change, author, before(tables, change));
  const { invite, standing, uninvited } = outcome;
  // Whatever refuses comes first.
  if (invite && !tables.addInvite(invite)) throw alreadyRecorded("invite");
  tables.dropInvitesExpiredBefore(author.at - INVITE_KEPT);
  tables.dropGrantsEnded(author.at);
  if (uninvited) tables.dropInvites(uninvited.role, uninvited.name);
  if (standing) tables.putStanding(standing);
  for (const id of outcome.ended) tables.dropGrant(id);
  for (const grant of outcome.grants) tables.putGrant(grant);
  tables.bump();
  return outcome;
}

/** {@linkcode Store.redeemInvite} */
export function redeem(tables: PolicyTables, secretHash: string, now: number): Redeemed {
  const invite = tables.invite(secretHash);
  if (!invite) throw inviteRefusal("unknown");
  const { role, name, uses, expiresAt, validity } = invite;
  if (uses < 1) throw inviteRefusal("used");
  if (expiresAt <= now) throw inviteRefusal("expired", expiresAt);
  tables.useInvite(secretHash);
  return { role, name, ...(validity !== undefined && { validity }) };
}

/** Gives a name that has none the standing of its first day. */
export function welcome(tables: PolicyTables, role: Role, name: string, at: number): void {
  if (tables.standing(role, name)) return;
  tables.putStanding({ role, name, since: at, admin: false, approver: false });
  tables.bump();
}

function before(tables: PolicyTables, change: Change): Before {
  const subject = subjectOf(change);
  if (!subject) {
    const grant = change.type === "revoke-grant" ? tables.grant(change.id) : undefined;
    return { grants: grant ? [grant] : [] };
  }
  const { role, name } = subject;
  return {
    standing: tables.standing(role, name),
    grants: role === "operator" ? tables.grantsOf(name) : [],
  };
}
