/**
 * What an administrative change comes to: the standing, grants and invitations that there are
 * afterwards, and what the audit trail says of it. It reads and writes nothing itself, so that every
 * store applies changes alike.
 */

import { TunnelError } from "../errors.ts";
import type { Role } from "../identity/credential.ts";
import { checkInvite, type Invite, type Standing } from "../store.ts";
import type { AuditEvent, AuditType } from "./audit.ts";
import {
  type Author,
  CHANGE,
  type Change,
  checkInstant,
  parseChange,
  type Rights,
} from "./change.ts";
import { type Grant, hasEnded } from "./grant.ts";

/** A name among those of its role. */
export interface Subject {
  readonly role: Role;
  readonly name: string;
}

/** What there is before a change. */
export interface Before {
  /** Of the name that the change is about. */
  readonly standing?: Standing;
  /** That operator's; or the one grant that is to be revoked. */
  readonly grants: readonly Grant[];
}

/** What is to be written for a change, all or nothing. */
export interface Outcome {
  /** In place of the one of its role and name. */
  readonly standing?: Standing;
  /** Each in place of the one of its operator and scope. */
  readonly grants: readonly Grant[];
  /** IDs of grants that are over. */
  readonly ended: readonly string[];
  readonly invite?: Invite;
  /** Whose open invitations are over. */
  readonly uninvited?: Subject;
  readonly events: readonly AuditEvent[];
}

type Of<T extends Change["type"]> = Extract<Change, { type: T }>;

/** Whom a change is about, where it says so; a grant is revoked by its ID alone. */
export function subjectOf(change: Change): Subject | undefined {
  if (change.type === "revoke-grant") return undefined;
  if ("operator" in change) return { role: "operator", name: change.operator };
  return { role: change.role, name: change.name };
}

/** @throws {TunnelError} `usage`, as {@linkcode Store.apply} */
export function decide(change: Change, author: Author, before: Before): Outcome {
  const checked = parseChange(change);
  checkInstant(CHANGE, author.at);
  const grants = before.grants.filter((grant) => !hasEnded(grant, author.at));
  const now = { ...before, grants };
  switch (checked.type) {
    case "invite":
      return invite(checked, author, now);
    case "grant":
      return grant(checked, author, now);
    case "rights":
      return setRights(checked, author, now);
    case "revoke-grant":
      return revokeGrant(checked, author, now);
    case "revoke-member":
      return revokeMember(checked, author, now);
  }
}

function invite(change: Of<"invite">, author: Author, before: Before): Outcome {
  const { role, name, secretHash, expiresAt, uses, validity, rights } = change;
  checkInvite(expiresAt, author.at);
  if (role === "device" && (rights || change.grants)) {
    throw usage("invite", "a device has neither grants nor rights");
  }
  const known = before.standing ?? newStanding({ role, name }, author);
  // Of two for one scope the last counts.
  const given = new Map(change.grants?.map((each) => [each.scope, each])).values();
  const grants = [...given].map((each) => give(name, each, author, before.grants));
  const lasting = validity === undefined ? "" : `, credentials valid for ${validity} ms`;
  const detail = `${uses} ${uses === 1 ? "use" : "uses"}${ending(expiresAt)}${lasting}`;
  return {
    invite: { role, name, secretHash, at: author.at, expiresAt, uses, validity },
    standing: { ...known, ...(rights && wholeRights(rights)) },
    grants,
    ended: [],
    events: [
      eventOf("invite", author, change, detail),
      ...(rights ? [rightsEvent(author, name, rights)] : []),
      ...grants.map((each) => grantEvent("grant", author, each)),
    ],
  };
}

/** Also to a name that is new here: an authority elsewhere may have signed its credential. */
function grant(change: Of<"grant">, author: Author, { standing, grants }: Before): Outcome {
  const { operator } = change;
  const given = give(operator, change, author, grants);
  return {
    standing: standing ?? newStanding({ role: "operator", name: operator }, author),
    grants: [given],
    ended: [],
    events: [grantEvent("grant", author, given)],
  };
}

function setRights(change: Of<"rights">, author: Author, { standing }: Before): Outcome {
  const { operator, rights } = change;
  const known = standing ?? newStanding({ role: "operator", name: operator }, author);
  return {
    standing: { ...known, ...wholeRights(rights) },
    grants: [],
    ended: [],
    events: [rightsEvent(author, operator, rights)],
  };
}

function revokeGrant({ id }: Of<"revoke-grant">, author: Author, { grants }: Before): Outcome {
  const found = grants.find((each) => each.id === id);
  if (!found) {
    throw usage("revoke", `there is no grant ${id}`, "see those that there are: tunnel grants");
  }
  return { grants: [], ended: [id], events: [grantEvent("revoke", author, found)] };
}

function revokeMember(change: Of<"revoke-member">, author: Author, before: Before): Outcome {
  const { grants } = before;
  const standing = before.standing ?? (change.unseen ? newStanding(change, author) : undefined);
  if (!standing) throw unknownName(change);
  // A clock that was set back brings no credential back to life.
  const revokedAt = Math.max(author.at, standing.revokedAt ?? 0);
  return {
    standing: { ...standing, admin: false, approver: false, revokedAt },
    grants: [],
    ended: grants.map(({ id }) => id),
    uninvited: { role: change.role, name: change.name },
    events: [eventOf("revoke", author, change, "all that it had")],
  };
}

/** What a name may do on its first day: nothing. */
function newStanding({ role, name }: Subject, { at }: Author): Standing {
  return { role, name, since: at, admin: false, approver: false };
}

/** A new grant, or the one of that scope with a new end. */
function give(
  operator: string,
  { scope, until }: { scope: string; until?: number },
  { at, by }: Author,
  existing: readonly Grant[],
): Grant {
  if (hasEnded({ until }, at)) throw usage("grant", "it would end before it is given");
  const id = existing.find((each) => each.scope === scope)?.id ?? newGrantId();
  return { id, operator, scope, ...(until !== undefined && { until }), at, by };
}

/** 40 random bits, for people to type. */
function newGrantId(): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => alphabet[byte & 31])
    .join("");
}

function wholeRights({ admin = false, approver = false }: Rights): Required<Rights> {
  return { admin, approver };
}

function grantEvent(type: "grant" | "revoke", author: Author, given: Grant): AuditEvent {
  const detail = `${given.id} ${given.scope}${ending(given.until)}`;
  return eventOf(type, author, { role: "operator", name: given.operator }, detail);
}

function rightsEvent(author: Author, name: string, { admin, approver }: Rights): AuditEvent {
  const detail = [admin ? "admin" : [], approver ? "approver" : []].flat().join(", ") || "none";
  return eventOf("rights", author, { role: "operator", name }, detail);
}

function eventOf(
  type: AuditType,
  { at, by, from }: Author,
  { role, name }: Subject,
  detail: string,
): AuditEvent {
  return { at, type, by, from, [role]: name, detail };
}

function ending(until: number | undefined): string {
  return until === undefined ? "" : ` until ${new Date(until).toISOString()}`;
}

function unknownName({ role, name }: Subject): TunnelError {
  return usage(
    "revoke",
    `there is no ${role} ${name}`,
    `see those that there are: tunnel ${role}s; if it is to come yet: --unseen`,
  );
}

function usage(action: string, state: string, remedy?: string): TunnelError {
  return new TunnelError("usage", { action, state, remedy });
}
