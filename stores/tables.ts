/**
 * What a store of tables is made of. The rules of the contract are in `table_store.ts`,
 * `changes.ts` and `audit_chain.ts`, once; here is what they need written and read, one row at a
 * time. Nothing here awaits.
 */

import type { Role } from "../core/identity/credential.ts";
import type { AuditAnchor, AuditQuery, AuditRow } from "../core/policy/audit.ts";
import type { Grant } from "../core/policy/grant.ts";
import type { DeviceRecord, Invite, Member, Sighting, Standing } from "../core/store.ts";

export interface Tables {
  readonly members: MemberTables;
  readonly policy: PolicyTables;
  readonly audit: AuditTable;
  /**
   * Runs changes alone, so that what they read cannot change under them. When they throw nothing of
   * them stays; but memory cannot undo, so they refuse before they write.
   */
  change<T>(work: () => T): T;
  /** Runs reads that see one instant. */
  read<T>(work: () => T): T;
  close(): void;
}

/** Credentials and devices. */
export interface MemberTables {
  /** Whether it was added: not when its ID is there already. */
  addCredential(member: Member): boolean;
  /** Newest first. */
  credentials(role: Role, name: string, limit: number): Member[];
  /** Keeps one that is there as it is. */
  addDevice(name: string, since: number): void;
  /** Keeps a later sighting of a device. */
  see(name: string, sighting: Sighting): void;
  device(name: string): DeviceRecord | undefined;
  /** By name. */
  devices(after: string, limit: number): DeviceRecord[];
}

/** Invitations, standings and grants. */
export interface PolicyTables {
  invite(secretHash: string): Invite | undefined;
  /** Whether it was added: not when its hash is there already. */
  addInvite(invite: Invite): boolean;
  /** Takes one use. */
  useInvite(secretHash: string): void;
  dropInvites(role: Role, name: string): void;
  dropInvitesExpiredBefore(instant: number): void;
  standing(role: Role, name: string): Standing | undefined;
  /** In place of the one of its role and name. */
  putStanding(standing: Standing): void;
  /** By role and name. */
  standings(): Standing[];
  grant(id: string): Grant | undefined;
  grantsOf(operator: string): Grant[];
  /** In place of the one of its operator and scope. */
  putGrant(grant: Grant): void;
  dropGrant(id: string): void;
  dropGrantsEnded(now: number): void;
  /** By operator and scope. */
  grants(): Grant[];
  version(): number;
  /** Makes the version another one. */
  bump(): void;
}

/** Both ends of the chain as they are noted, and of the rows that are there. */
export interface ChainEnds {
  readonly anchor: AuditAnchor;
  readonly head: AuditAnchor;
  readonly first?: number;
  readonly last?: number;
}

/** The rows of the audit trail. None is ever changed. */
export interface AuditTable {
  head(): AuditAnchor;
  ends(): ChainEnds;
  /** Adds the row behind the head and makes it the head. */
  append(row: AuditRow): void;
  /** The rows behind a number. */
  rows(after: number, limit: number): AuditRow[];
  /** The rows that a query asks for. */
  find(query: AuditQuery): AuditRow[];
  /** Makes a row the anchor and forgets it and those before it; says how many they were. */
  forget(anchor: AuditAnchor): number;
}
