/** Invitations, standings and grants in SQLite. */

import type { DatabaseSync } from "node:sqlite";
import type { Role } from "../core/identity/credential.ts";
import type { Grant } from "../core/policy/grant.ts";
import type { Invite, Standing } from "../core/store.ts";
import { prepared } from "./database.ts";
import type { PolicyTables } from "./tables.ts";

const QUERIES = {
  invite: `SELECT role, name, secret_hash AS secretHash, created_at AS at, expires_at AS expiresAt,
    uses_left AS uses, validity FROM invites WHERE secret_hash = ?`,
  addInvite: `INSERT INTO invites
    (secret_hash, role, name, created_at, expires_at, uses_left, validity)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  useInvite: "UPDATE invites SET uses_left = uses_left - 1 WHERE secret_hash = ?",
  dropInvites: "DELETE FROM invites WHERE role = ? AND name = ?",
  dropExpired: "DELETE FROM invites WHERE expires_at < ?",
  standing: "SELECT * FROM standings WHERE role = ? AND name = ?",
  standings: "SELECT * FROM standings ORDER BY role, name",
  putStanding: `INSERT OR REPLACE INTO standings (role, name, since, admin, approver, revoked_at)
    VALUES (?, ?, ?, ?, ?, ?)`,
  grant: "SELECT * FROM grants WHERE id = ?",
  grantsOf: "SELECT * FROM grants WHERE operator = ? ORDER BY scope",
  grants: "SELECT * FROM grants ORDER BY operator, scope",
  dropSame: "DELETE FROM grants WHERE operator = ? AND scope = ?",
  addGrant: `INSERT INTO grants (id, operator, scope, ends_at, given_at, given_by)
    VALUES (?, ?, ?, ?, ?, ?)`,
  dropGrant: "DELETE FROM grants WHERE id = ?",
  dropEnded: "DELETE FROM grants WHERE ends_at <= ?",
  version: "SELECT version FROM policy_version",
  bump: "UPDATE policy_version SET version = version + 1",
} as const;

interface StandingRow {
  role: Role;
  name: string;
  since: number;
  admin: number;
  approver: number;
  revoked_at: number | null;
}

interface GrantRow {
  id: string;
  operator: string;
  scope: string;
  ends_at: number | null;
  given_at: number;
  given_by: string;
}

export class SqlitePolicy implements PolicyTables {
  readonly #query: ReturnType<typeof prepared<typeof QUERIES>>;

  constructor(database: DatabaseSync) {
    this.#query = prepared(database, QUERIES);
  }

  invite(secretHash: string): Invite | undefined {
    const row = this.#query("invite").get(secretHash);
    return row && { ...row, validity: row.validity ?? undefined } as unknown as Invite;
  }

  addInvite({ secretHash, role, name, at, expiresAt, uses, validity }: Invite): boolean {
    const add = this.#query("addInvite");
    return add.run(secretHash, role, name, at, expiresAt, uses, validity ?? null).changes !== 0;
  }

  useInvite(secretHash: string): void {
    this.#query("useInvite").run(secretHash);
  }

  dropInvites(role: Role, name: string): void {
    this.#query("dropInvites").run(role, name);
  }

  dropInvitesExpiredBefore(instant: number): void {
    this.#query("dropExpired").run(instant);
  }

  standing(role: Role, name: string): Standing | undefined {
    const row = this.#query("standing").get(role, name);
    return row && standingOf(row as unknown as StandingRow);
  }

  putStanding({ role, name, since, admin, approver, revokedAt }: Standing): void {
    const put = this.#query("putStanding");
    put.run(role, name, since, Number(admin), Number(approver), revokedAt ?? null);
  }

  standings(): Standing[] {
    return (this.#query("standings").all() as unknown as StandingRow[]).map(standingOf);
  }

  grant(id: string): Grant | undefined {
    const row = this.#query("grant").get(id);
    return row && grantOf(row as unknown as GrantRow);
  }

  grantsOf(operator: string): Grant[] {
    return (this.#query("grantsOf").all(operator) as unknown as GrantRow[]).map(grantOf);
  }

  putGrant({ id, operator, scope, until, at, by }: Grant): void {
    this.#query("dropSame").run(operator, scope);
    this.#query("addGrant").run(id, operator, scope, until ?? null, at, by);
  }

  dropGrant(id: string): void {
    this.#query("dropGrant").run(id);
  }

  dropGrantsEnded(now: number): void {
    this.#query("dropEnded").run(now);
  }

  grants(): Grant[] {
    return (this.#query("grants").all() as unknown as GrantRow[]).map(grantOf);
  }

  version(): number {
    return this.#query("version").get()!.version as number;
  }

  bump(): void {
    this.#query("bump").run();
  }
}

function standingOf(row: StandingRow): Standing {
  const { role, name, since, admin, approver, revoked_at: revokedAt } = row;
  const rights = { admin: admin === 1, approver: approver === 1 };
  return { role, name, since, ...rights, ...(revokedAt !== null && { revokedAt }) };
}

function grantOf(row: GrantRow): Grant {
  const { id, operator, scope, ends_at: until, given_at: at, given_by: by } = row;
  return { id, operator, scope, ...(until !== null && { until }), at, by };
}
