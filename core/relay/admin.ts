/** What admins ask of a relay: changes of who may reach what, and a look at what is recorded. */

import {
  type AdminReply,
  type AdminRequest,
  MAX_SENT_TEXT,
  type OperatorInfo,
} from "../admin_messages.ts";
import { describe, TunnelError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { AuditRow } from "../policy/audit.ts";
import type { Change } from "../policy/change.ts";
import type { AuditReport, Standing, Store } from "../store.ts";
import type { Access } from "./access.ts";
import { cannotIssue } from "./issuing.ts";

/** Bytes of JSON that the items of one answer have; the rest of the message is small. */
const PAGE_BYTES = 60_000;

export interface AdminContext {
  /** The operator who asks, and its address. */
  readonly name: string;
  readonly from: string;
  readonly store: Store;
  readonly access: Access;
  /** Whether this relay issues credentials to those who join. */
  readonly issues: boolean;
  readonly now: () => number;
  readonly log: Log;
}

type Of<T extends AdminRequest["type"]> = Extract<AdminRequest, { type: T }>;

/** @throws {TunnelError} `refused` when the operator may not have it */
export async function administer(
  request: AdminRequest,
  context: AdminContext,
): Promise<AdminReply> {
  const { name, access } = context;
  // Rights may be as new as the question, or as newly taken away.
  await access.refresh();
  if (request.type === "grants") return grants(request, context);
  if (!access.rights(name).admin) throw notAdmin(name);
  switch (request.type) {
    case "change":
      return await change(request, context);
    case "operators":
      return operators(request, context);
    case "audit":
      return await audit(request, context);
    case "audit-check":
      return { type: "audit-check", id: request.id, ...await checkAudit(context.store) };
  }
}

async function change({ id, change }: Of<"change">, context: AdminContext): Promise<AdminReply> {
  const { name, from, store, access, issues, now, log } = context;
  if (change.type === "invite" && !issues) throw cannotIssue(change);
  const leaves = demotes(change, name);
  if (leaves && !hasOtherAdmin(access, name)) throw lastAdmin(name);
  try {
    const grants = await store.apply(change, { by: `operator:${name}`, from, at: now() });
    log.info("changed by an admin", { what: change.type, by: name, from });
    // Who ends itself is to hear that it did: the next look at the policy cuts it.
    if (!leaves) await access.refresh();
    return { type: "changed", id, grants };
  } catch (cause) {
    if (!(cause instanceof TunnelError) || cause.code !== "usage") throw cause;
    const { state, remedy } = cause.parts;
    return { type: "unchanged", id, state: describe(state), remedy: remedy && describe(remedy) };
  }
}

function operators({ id, after }: Of<"operators">, { access }: AdminContext): AdminReply {
  const all = access.policy.standings
    .filter(({ role, name }) => role === "operator" && name > (after ?? ""));
  const operators = page(all.values().map(operatorInfo));
  return { type: "operators", id, operators, more: operators.length < all.length };
}

function grants({ id, operator, after }: Of<"grants">, context: AdminContext): AdminReply {
  const { name, access, now } = context;
  const { admin } = access.rights(name);
  if (!admin && operator !== undefined && operator !== name) throw notAdmin(name);
  const whose = admin ? operator : name;
  const all = access.policy.grants(now(), whose).filter((grant) => grant.id > (after ?? ""));
  const grants = page(all.values());
  return { type: "grants", id, grants, more: grants.length < all.length };
}

async function audit({ id, type, ...query }: Of<"audit">, { store }: AdminContext) {
  const found = (await store.audit(query)).map(shortened);
  const newest = query.before !== undefined;
  const rows = page(newest ? found.toReversed().values() : found.values());
  const more = rows.length < found.length;
  return { type, id, rows: newest ? rows.reverse() : rows, more };
}

/** One check at a time, whoever asks for it: it reads every row. */
const checks = new WeakMap<Store, Promise<AuditReport>>();

async function checkAudit(store: Store): Promise<AuditReport> {
  const running = checks.get(store);
  if (running) return await running;
  const check = store.checkAudit();
  checks.set(store, check);
  try {
    return await check;
  } finally {
    checks.delete(store);
  }
}

/** As many of these as one answer takes. */
function page<T>(items: Iterable<T>): T[] {
  const encoder = new TextEncoder();
  const taken: T[] = [];
  let bytes = 0;
  for (const item of items) {
    bytes += encoder.encode(JSON.stringify(item)).length + 1;
    if (bytes > PAGE_BYTES) break;
    taken.push(item);
  }
  return taken;
}

/** A row that fits into an answer whatever it holds. */
function shortened(row: AuditRow): AuditRow {
  const entries = Object.entries(row).map(([field, value]) => [
    field,
    typeof value === "string" ? value.slice(0, MAX_SENT_TEXT).toWellFormed() : value,
  ]);
  return Object.fromEntries(entries);
}

function operatorInfo({ name, since, admin, approver, revokedAt }: Standing): OperatorInfo {
  return { name, since, admin, approver, ...(revokedAt !== undefined && { revokedAt }) };
}

/** Whether a change would take the right to make another from that operator. */
function demotes(change: Change, operator: string): boolean {
  if (change.type === "rights") return change.operator === operator && !change.rights.admin;
  if (change.type !== "revoke-member" && change.type !== "invite") return false;
  if (change.role !== "operator" || change.name !== operator) return false;
  return change.type === "revoke-member" || (change.rights !== undefined && !change.rights.admin);
}

/** Whoever is revoked loses the right with all else. */
function hasOtherAdmin(access: Access, operator: string): boolean {
  return access.policy.standings
    .some(({ role, name, admin }) => role === "operator" && admin && name !== operator);
}

function notAdmin(name: string): TunnelError {
  return new TunnelError("refused", {
    action: "administer the relay",
    state: `operator ${name} is no admin`,
    remedy: `have it done by one, or on the relay's machine: tunnel rights ${name} --admin`,
  });
}

function lastAdmin(name: string): TunnelError {
  return new TunnelError("refused", {
    action: "administer the relay",
    state: `operator ${name} is the last admin`,
    remedy: "make another one first, or do it on the relay's machine",
  });
}
