/**
 * The audit trail: what happened, by whom, from where. Rows are numbered from 1 and chained: each
 * carries the SHA-256 of the hash before it and its own content, so that a row that is altered,
 * left out or put between others shows.
 */

import { base64url } from "jose";
import { concat } from "../bytes.ts";
import { TunnelError } from "../errors.ts";

/** Characters that one text of an event has at most; what is longer is cut. */
export const MAX_AUDIT_TEXT = 4_096;

/** What is recorded. */
export const AUDIT_TYPES = [
  // Sessions.
  "join",
  "sign-in",
  "sign-in refused",
  "sign-out",
  "renew",
  // Dials, those that attach a channel again included.
  "dial",
  "dial refused",
  "dial ended",
  "approval",
  // Changes.
  "invite",
  "grant",
  "rights",
  "revoke",
  "prune",
] as const;
export type AuditType = typeof AUDIT_TYPES[number];

/** One event. Never a secret in it. */
export interface AuditEvent {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly type: AuditType;
  /** Who did it: `operator:anna`, `device:x`, `local:root`; absent where nobody has proven it. */
  readonly by?: string;
  /** The address that it came from. */
  readonly from?: string;
  readonly device?: string;
  readonly operator?: string;
  /** `22`, `10.0.0.5:80`. */
  readonly target?: string;
  /** Why it was refused, or how it ended. */
  readonly why?: string;
  /** What the operator gave as a reason. */
  readonly reason?: string;
  /** Bytes from operator to device, and back. */
  readonly sent?: number;
  readonly received?: number;
  /** Milliseconds that it lasted. */
  readonly took?: number;
  /** What else there is to say: the scope of a grant, the transport of a session. */
  readonly detail?: string;
}

/** An event in its place in the chain. */
export interface AuditRow extends AuditEvent {
  readonly seq: number;
  /** base64url of 32 bytes. */
  readonly hash: string;
}

/** Which rows are wanted, oldest first. */
export interface AuditQuery {
  /** Those behind this number only. */
  readonly after?: number;
  /** Those in front of this number only, and the newest of them instead of the oldest. */
  readonly before?: number;
  /** Those since then only, milliseconds since 1970. */
  readonly since?: number;
  /** Those that are about this device, or were done by it. */
  readonly device?: string;
  /** Those that are about this operator, or were done by it. */
  readonly operator?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

/** Where a chain begins: number and hash of the row in front of the first one kept. */
export interface AuditAnchor {
  readonly seq: number;
  readonly hash: string;
}

/** The hash in front of row 1. */
export const GENESIS: AuditAnchor = { seq: 0, hash: base64url.encode(new Uint8Array(32)) };

// deno-lint-ignore no-control-regex -- peers' texts reach terminals through the audit trail
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** The members of an event, in the order in which they are hashed; a new one comes last. */
export const AUDIT_FIELDS = [
  ...["at", "type", "by", "from", "device", "operator", "target", "why", "reason"],
  ...["sent", "received", "took", "detail"],
] as const satisfies readonly (keyof AuditEvent)[];

/**
 * An event as it is kept. Peers choose some of the texts, so they are made such that every store
 * gives back what was hashed: one line, whole characters, {@linkcode MAX_AUDIT_TEXT} of them.
 *
 * @throws {TunnelError} `usage` when a number is not whole, or below 0
 */
export function cleanEvent(event: AuditEvent): AuditEvent {
  const kept = AUDIT_FIELDS.filter((field) => event[field] !== undefined)
    .map((field) => [field, cleanValue(field, event[field]!)]);
  return Object.fromEntries(kept);
}

/** Whether a row is among those that a query asks for, whatever its limit. */
export function selects(query: Omit<AuditQuery, "limit">, row: AuditRow): boolean {
  const { after = 0, before = Infinity, since = 0, device, operator } = query;
  return row.seq > after && row.seq < before && row.at >= since &&
    (device === undefined || row.device === device || row.by === `device:${device}`) &&
    (operator === undefined || row.operator === operator || row.by === `operator:${operator}`);
}

/** The bytes whose SHA-256 is the hash of a row: 32 of the hash before it, then JSON in UTF-8. */
export function auditBytes(before: AuditAnchor, event: AuditEvent): Uint8Array<ArrayBuffer> {
  const content = [before.seq + 1, ...AUDIT_FIELDS.map((field) => event[field] ?? null)];
  return concat([
    base64url.decode(before.hash),
    new TextEncoder().encode(JSON.stringify(content)),
  ]);
}

function cleanValue(field: string, value: string | number): string | number {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new TunnelError("usage", {
      action: "record an event",
      state: `${field} must be a whole number, not ${value}`,
    });
  }
  return value.slice(0, MAX_AUDIT_TEXT).toWellFormed().replace(CONTROL, "?");
}
