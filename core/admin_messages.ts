/**
 * What an operator asks a relay to change or to show of it (docs/PROTOCOL.md, "Administration"). Most
 * of it is an admin's alone.
 */

import * as v from "valibot";
import { DEVICE_ID } from "./names.ts";
import { AUDIT_TYPES } from "./policy/audit.ts";
import { Change, MAX_SCOPE } from "./policy/change.ts";

/** UTF-16 code units of JSON that a change has at most: its reply, which is longer, fits a message. */
export const MAX_CHANGE = 40_000;
/** UTF-16 code units of a text in a row of the audit trail; what is longer is cut on its way. */
export const MAX_SENT_TEXT = 2_000;
/** Rows of the audit trail that a request asks for at most. */
export const MAX_SENT_ROWS = 500;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Milliseconds since 1970, up to the last instant that a date can be (ECMA-262, "Time Values"). */
const instant = v.pipe(count, v.maxValue(8.64e15));
const name = v.pipe(v.string(), v.regex(DEVICE_ID, "a name"));
const grantId = v.pipe(v.string(), v.regex(/^[a-z2-7]{8}$/, "the ID of a grant"));
const hash = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, "32 bytes in base64url"));
const text = v.pipe(v.string(), v.maxLength(MAX_SENT_TEXT));

export const AdminRequest = v.variant("type", [
  v.object({
    type: v.literal("change"),
    id: count,
    change: v.pipe(Change, v.check((change) => isSendable(change), "a shorter change")),
  }),
  v.object({ type: v.literal("operators"), id: count, after: v.optional(name) }),
  v.object({
    type: v.literal("grants"),
    id: count,
    /** This operator's alone. */
    operator: v.optional(name),
    /** Grants whose ID sorts after this one. */
    after: v.optional(grantId),
  }),
  v.object({
    type: v.literal("audit"),
    id: count,
    after: v.optional(count),
    before: v.optional(count),
    since: v.optional(instant),
    device: v.optional(name),
    operator: v.optional(name),
    limit: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_SENT_ROWS)),
  }),
  v.object({ type: v.literal("audit-check"), id: count }),
]);
export type AdminRequest = v.InferOutput<typeof AdminRequest>;

/** An operator as `tunnel operators` shows it. Times are milliseconds since 1970. */
export const OperatorInfo = v.object({
  name,
  since: instant,
  admin: v.boolean(),
  approver: v.boolean(),
  revokedAt: v.optional(instant),
});
export type OperatorInfo = v.InferOutput<typeof OperatorInfo>;

const GrantInfo = v.object({
  id: grantId,
  operator: name,
  scope: v.pipe(v.string(), v.maxLength(MAX_SCOPE)),
  until: v.optional(instant),
  at: instant,
  by: text,
});

const RowInfo = v.object({
  seq: count,
  hash,
  at: instant,
  type: v.picklist(AUDIT_TYPES),
  by: v.optional(text),
  from: v.optional(text),
  device: v.optional(text),
  operator: v.optional(text),
  target: v.optional(text),
  why: v.optional(text),
  reason: v.optional(text),
  sent: v.optional(count),
  received: v.optional(count),
  took: v.optional(count),
  detail: v.optional(text),
});

export const AdminReply = v.variant("type", [
  /** The grants that it made or renewed. */
  v.object({ type: v.literal("changed"), id: count, grants: v.array(GrantInfo) }),
  /** The change is one that cannot be made. */
  v.object({
    type: v.literal("unchanged"),
    id: count,
    state: v.pipe(v.string(), v.maxLength(300)),
    remedy: v.optional(v.pipe(v.string(), v.maxLength(300))),
  }),
  v.object({
    type: v.literal("operators"),
    id: count,
    operators: v.array(OperatorInfo),
    more: v.boolean(),
  }),
  v.object({
    type: v.literal("grants"),
    id: count,
    grants: v.array(GrantInfo),
    more: v.boolean(),
  }),
  v.object({
    type: v.literal("audit"),
    id: count,
    rows: v.array(RowInfo),
    /** There may be more of those that were asked for. */
    more: v.boolean(),
  }),
  v.object({
    type: v.literal("audit-check"),
    id: count,
    rows: count,
    head: v.object({ seq: count, hash }),
    broken: v.optional(count),
  }),
]);
export type AdminReply = v.InferOutput<typeof AdminReply>;

/** Whether a change and the grants that come of it fit into messages. */
export function isSendable(change: Change): boolean {
  return JSON.stringify(change).length <= MAX_CHANGE;
}
