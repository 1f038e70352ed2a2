/**
 * What a relay remembers: open invitations, who has joined and who may reach what, which devices it
 * has seen, and the audit trail. The engine knows a store by this file alone; `stores/` has the
 * implementations, and the `*_test.ts` beside them are the contract's executable form.
 *
 * Every instant is in milliseconds since the epoch and comes from the caller.
 */

import { TunnelError } from "./errors.ts";
import type { Role } from "./identity/credential.ts";
import type { AuditAnchor, AuditEvent, AuditQuery, AuditRow } from "./policy/audit.ts";
import type { Author, Change } from "./policy/change.ts";
import type { Grant } from "./policy/grant.ts";
import type { RemoteAddress } from "./transport.ts";

/** Milliseconds an expired invitation is still known as such, before it counts as never made. */
export const INVITE_KEPT = 30 * 86_400_000;
/** The most rows that one method gives at once. */
export const MAX_PAGE = 1_000;

/** A join string that was given out, as far as it is kept. */
export interface Invite {
  readonly role: Role;
  readonly name: string;
  /** `hashSecret` of the join string's secret; the secret itself never gets here. */
  readonly secretHash: string;
  readonly at: number;
  readonly expiresAt: number;
  /** How often it may still be redeemed. */
  readonly uses: number;
  /** Milliseconds that the credentials are to be valid; the role's default without. */
  readonly validity?: number;
}

/** What redeeming an invitation gives. */
export interface Redeemed {
  readonly role: Role;
  readonly name: string;
  /** Milliseconds that the credential is to be valid; the role's default without. */
  readonly validity?: number;
}

/** A credential that was issued to someone who joined. */
export interface Member {
  role: Role;
  name: string;
  credentialId: string;
  /** RFC 7638, of the holder's key. */
  keyThumbprint: string;
  expiresAt: number;
  at: number;
}

/** A sign of life. */
export interface Sighting {
  at: number;
  /** The transport's name. */
  transport: string;
  remote: RemoteAddress;
}

/** A device that has joined or been seen. */
export interface DeviceRecord {
  name: string;
  /** When it was first recorded, by joining or by being seen. */
  since: number;
  /** Absent until it has been seen. */
  lastSeen?: Sighting;
}

/** What a name may do, and whether what it was given before still counts. */
export interface Standing {
  readonly role: Role;
  readonly name: string;
  /** When the name was first invited or joined. */
  readonly since: number;
  readonly admin: boolean;
  readonly approver: boolean;
  /** Credentials issued up to then, to the second, count no more. */
  readonly revokedAt?: number;
}

/** All that decides about sign-ins and dials. */
export interface PolicySnapshot {
  /** Another number after every change. */
  readonly version: number;
  /** Those that have not been revoked, by operator and scope; some may have ended by themselves. */
  readonly grants: readonly Grant[];
  /** By role and name. */
  readonly standings: readonly Standing[];
}

/** What checking the audit trail found. */
export interface AuditReport {
  /** Rows checked, and the last of them. */
  readonly rows: number;
  readonly head: AuditAnchor;
  /** The number of the first row that is missing, altered or foreign. */
  readonly broken?: number;
}

/** Several processes may use one store at once; every method is atomic among them. */
export interface Store extends AsyncDisposable {
  /**
   * Applies an administrative change, with its rows in the audit trail, or nothing. Also forgets
   * invitations that expired more than {@linkcode INVITE_KEPT} ago, and grants that have ended.
   *
   * @returns the grants that it made or renewed
   * @throws {TunnelError} `usage` when the change is malformed, the hash of an invitation is taken,
   * it or a grant would end before it is made, or there is no such grant or name
   */
  apply(change: Change, author: Author): Promise<Grant[]>;
  /**
   * Takes one use of an invitation. Of two who redeem the last use at once, one is refused.
   *
   * @throws {TunnelError} `refused` when there is none, it is used up, or it has expired
   */
  redeemInvite(secretHash: string, now: number): Promise<Redeemed>;
  /**
   * Adds a credential to the history of its holder, with an event in the audit trail, and makes the
   * standing of a name that has none.
   *
   * @throws {TunnelError} `usage` when the credential's ID is recorded already
   */
  recordMember(member: Member, event: AuditEvent): Promise<void>;
  /** The newest credential of that name. */
  member(role: Role, name: string): Promise<Member | undefined>;
  /** Every credential of that name, newest first, at most {@linkcode MAX_PAGE}. */
  memberHistory(role: Role, name: string): Promise<Member[]>;
  /** Everything that decides, as it is now. */
  policy(): Promise<PolicySnapshot>;
  /** The version of {@linkcode Store.policy}: cheap enough to be asked twice a second. */
  policyVersion(): Promise<number>;
  /**
   * Appends events to the audit trail, in this order, all or none.
   *
   * @throws {TunnelError} `usage` when a number in one is not whole, or below 0
   */
  record(events: readonly AuditEvent[]): Promise<void>;
  /** Rows of the audit trail, oldest first. */
  audit(query: AuditQuery): Promise<AuditRow[]>;
  /** Checks every row that is kept against the chain. */
  checkAudit(): Promise<AuditReport>;
  /**
   * Forgets the rows before that instant, up to the first that is not, and records that; says how
   * many they were.
   */
  pruneAudit(before: number, author: Author): Promise<number>;
  /**
   * Remembers the latest sign of life of each device, all or none; one that is older than what is
   * known changes nothing. Makes the standing of a device that has none.
   */
  devicesSeen(sightings: readonly (readonly [name: string, Sighting])[]): Promise<void>;
  /** Devices by name, those after `after` only, 1 to {@linkcode MAX_PAGE} of them. */
  devices(page: { after?: string; limit: number }): Promise<DeviceRecord[]>;
  isKnownDevice(name: string): Promise<boolean>;
  /** One device; undefined when it has neither joined nor been seen. */
  device(name: string): Promise<DeviceRecord | undefined>;
  /** Idempotent; other methods fail afterwards. */
  close(): Promise<void>;
}

/** @throws {TunnelError} `usage` */
export function checkInvite(expiresAt: number, now: number): void {
  if (expiresAt > now) return;
  throw new TunnelError("usage", { action: "invite", state: "it would expire before it is made" });
}

/** @throws {TunnelError} `usage` */
export function checkPage(action: string, limit: number): void {
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_PAGE) return;
  const state = `the limit must be 1 to ${MAX_PAGE}, not ${limit}`;
  throw new TunnelError("usage", { action, state });
}

/** The refusals of {@linkcode Store.redeemInvite}: the same words from every store. */
export function inviteRefusal(why: "unknown" | "expired" | "used", expiresAt = 0): TunnelError {
  const state = {
    unknown: "this relay does not know the join string",
    expired: `the join string expired at ${new Date(expiresAt).toISOString()}`,
    used: "the join string has been used up",
  }[why];
  return new TunnelError("refused", { action: "join", state, remedy: "ask for a new join string" });
}

/** What {@linkcode Store.apply} and {@linkcode Store.recordMember} say of a second entry. */
export function alreadyRecorded(action: string): TunnelError {
  return new TunnelError("usage", { action, state: "it is recorded already" });
}
