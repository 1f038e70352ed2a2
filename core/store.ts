/**
 * What a relay remembers: open invitations, who has joined, and which devices it has seen. The
 * engine knows a store by this file alone; `stores/` has the implementations, and
 * `stores/store_test.ts` and `stores/invites_test.ts` are the contract's executable form.
 *
 * Every instant is in milliseconds since the epoch and comes from the caller.
 */

import { TunnelError } from "./errors.ts";
import type { Role } from "./identity/credential.ts";
import type { RemoteAddress } from "./transport.ts";

/** Milliseconds an expired invitation is still known as such, before it counts as never made. */
export const INVITE_KEPT = 30 * 86_400_000;
/** The most rows that {@linkcode Store.devices} gives at once. */
export const MAX_PAGE = 1_000;

/** A join string that was given out. */
export interface Invite {
  role: Role;
  name: string;
  /** `hashSecret` of the join string's secret; the secret itself never gets here. */
  secretHash: string;
  at: number;
  expiresAt: number;
  /** How often it may be redeemed, 1 to 1,000. */
  uses: number;
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

/** Several processes may use one store at once; every method is atomic among them. */
export interface Store extends AsyncDisposable {
  /**
   * Also forgets invitations that expired more than {@linkcode INVITE_KEPT} ago.
   *
   * @throws {TunnelError} `usage` when the numbers are out of range or the hash is taken
   */
  createInvite(invite: Invite): Promise<void>;
  /**
   * Takes one use of an invitation. Of two who redeem the last use at once, one is refused.
   *
   * @throws {TunnelError} `refused` when there is none, it is used up, or it has expired
   */
  redeemInvite(secretHash: string, now: number): Promise<{ role: Role; name: string }>;
  /**
   * Adds a credential to the history of its holder.
   *
   * @throws {TunnelError} `usage` when the credential's ID is recorded already
   */
  recordMember(member: Member): Promise<void>;
  /** The newest credential of that name. */
  member(role: Role, name: string): Promise<Member | undefined>;
  /** Every credential of that name, newest first, at most {@linkcode MAX_PAGE}. */
  memberHistory(role: Role, name: string): Promise<Member[]>;
  /** Remembers the latest sign of life; one that is older than what is known changes nothing. */
  deviceSeen(name: string, sighting: Sighting): Promise<void>;
  /** Devices by name, those after `after` only, 1 to {@linkcode MAX_PAGE} of them. */
  devices(page: { after?: string; limit: number }): Promise<DeviceRecord[]>;
  isKnownDevice(name: string): Promise<boolean>;
  /** One device; undefined when it has neither joined nor been seen. */
  device(name: string): Promise<DeviceRecord | undefined>;
  /** Idempotent; other methods fail afterwards. */
  close(): Promise<void>;
}

/** @throws {TunnelError} `usage` */
export function checkInvite(invite: Invite): void {
  const { uses, at, expiresAt } = invite;
  checkRange("invite", "uses", uses, 1_000);
  if (!Number.isSafeInteger(at) || !Number.isSafeInteger(expiresAt) || expiresAt <= at) {
    throw new TunnelError("usage", {
      action: "invite",
      state: "it would expire before it is made",
    });
  }
}

/** @throws {TunnelError} `usage` */
export function checkPage(limit: number): void {
  checkRange("list devices", "the limit", limit, MAX_PAGE);
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

/** What {@linkcode Store.createInvite} and {@linkcode Store.recordMember} say of a second entry. */
export function alreadyRecorded(action: string): TunnelError {
  return new TunnelError("usage", { action, state: "it is recorded already" });
}

function checkRange(action: string, what: string, value: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return;
  throw new TunnelError("usage", { action, state: `${what} must be 1 to ${most}, not ${value}` });
}
