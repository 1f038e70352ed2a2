/** Credentials and devices in SQLite. */

import type { DatabaseSync } from "node:sqlite";
import type { Role } from "../core/identity/credential.ts";
import type { DeviceRecord, Member, Sighting } from "../core/store.ts";
import { prepared } from "./database.ts";
import type { MemberTables } from "./tables.ts";

const QUERIES = {
  addCredential: `INSERT INTO credentials
    (credential_id, role, name, key_thumbprint, issued_at, expires_at)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  credentials: `SELECT role, name, credential_id AS credentialId, key_thumbprint AS keyThumbprint,
    expires_at AS expiresAt, issued_at AS at
    FROM credentials WHERE role = ? AND name = ? ORDER BY id DESC LIMIT ?`,
  addDevice: "INSERT INTO devices (name, since) VALUES (?, ?) ON CONFLICT DO NOTHING",
  seeDevice: `UPDATE devices SET seen_at = ?2, transport = ?3, hostname = ?4, port = ?5
    WHERE name = ?1 AND (seen_at IS NULL OR seen_at <= ?2)`,
  devices: "SELECT * FROM devices WHERE name > ? ORDER BY name LIMIT ?",
  device: "SELECT * FROM devices WHERE name = ?",
} as const;

interface DeviceRow {
  name: string;
  since: number;
  seen_at: number | null;
  transport: string;
  hostname: string;
  port: number;
}

export class SqliteMembers implements MemberTables {
  readonly #query: ReturnType<typeof prepared<typeof QUERIES>>;

  constructor(database: DatabaseSync) {
    this.#query = prepared(database, QUERIES);
  }

  addCredential(member: Member): boolean {
    const { role, name, credentialId, keyThumbprint, expiresAt, at } = member;
    const add = this.#query("addCredential");
    return add.run(credentialId, role, name, keyThumbprint, at, expiresAt).changes !== 0;
  }

  credentials(role: Role, name: string, limit: number): Member[] {
    const rows = this.#query("credentials").all(role, name, limit);
    return (rows as unknown as Member[]).map((row) => ({ ...row }));
  }

  addDevice(name: string, since: number): void {
    this.#query("addDevice").run(name, since);
  }

  see(name: string, { at, transport, remote }: Sighting): void {
    this.#query("seeDevice").run(name, at, transport, remote.hostname, remote.port);
  }

  device(name: string): DeviceRecord | undefined {
    const row = this.#query("device").get(name);
    return row && deviceRecord(row as unknown as DeviceRow);
  }

  devices(after: string, limit: number): DeviceRecord[] {
    const rows = this.#query("devices").all(after, limit);
    return (rows as unknown as DeviceRow[]).map(deviceRecord);
  }
}

function deviceRecord(row: DeviceRow): DeviceRecord {
  const { name, since, seen_at: at, transport, hostname, port } = row;
  if (at === null) return { name, since };
  return { name, since, lastSeen: { at, transport, remote: { hostname, port } } };
}
