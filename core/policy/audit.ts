/**
 * The audit trail: what happened, by whom, from where. Rows are numbered from 1 and chained: each
 * carries the SHA-256 of the hash before it and its own content, so that a row that is altered,
 * left out or put between others shows.
 */

import { base64url } from "jose";
import { concat } from "../bytes.ts";

/** What is recorded. */
export const AUDIT_TYPES = [
  // Sessions.
  "join",
  "join refused",
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
  /** Those since then only, milliseconds since 1970. */
  readonly since?: number;
  readonly device?: string;
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

/** In the order in which they are hashed; a new one comes last. */
const FIELDS = [
  ...["at", "type", "by", "from", "device", "operator", "target", "why", "reason"],
  ...["sent", "received", "took", "detail"],
] as const satisfies readonly (keyof AuditEvent)[];

/** The bytes whose SHA-256 is the hash of a row: 32 of the hash before it, then JSON in UTF-8. */
export function auditBytes(before: AuditAnchor, event: AuditEvent): Uint8Array<ArrayBuffer> {
  const content = [before.seq + 1, ...FIELDS.map((field) => event[field] ?? null)];
  return concat([
    base64url.decode(before.hash),
    new TextEncoder().encode(JSON.stringify(content)),
  ]);
}
