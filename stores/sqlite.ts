/**
 * The relay's store in one SQLite file. A running relay and `tunnel invite` use it at once, so every
 * change is one immediate transaction, and a reader never waits for a writer (WAL).
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { toTunnelError, TunnelError } from "../core/errors.ts";
import type { Role } from "../core/identity/credential.ts";
import {
  alreadyRecorded,
  checkInvite,
  checkPage,
  type DeviceRecord,
  type Invite,
  INVITE_KEPT,
  inviteRefusal,
  MAX_PAGE,
  type Member,
  type Sighting,
  type Store,
} from "../core/store.ts";
import { openDatabase, transaction } from "./database.ts";

const QUERIES = {
  purge: "DELETE FROM invites WHERE expires_at < ?",
  addInvite: `INSERT INTO invites (secret_hash, role, name, created_at, expires_at, uses_left)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  invite: "SELECT role, name, expires_at, uses_left FROM invites WHERE secret_hash = ?",
  useInvite: "UPDATE invites SET uses_left = uses_left - 1 WHERE secret_hash = ?",
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
  isDevice: "SELECT 1 FROM devices WHERE name = ?",
} as const;

interface InviteRow {
  role: Role;
  name: string;
  expires_at: number;
  uses_left: number;
}

interface DeviceRow {
  name: string;
  since: number;
  seen_at: number | null;
  transport: string;
  hostname: string;
  port: number;
}

/** The store of `relay/store.db`. */
export class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #closed = false;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Opens the file, makes it (0600) when there is none, and brings its tables up to date.
   *
   * @throws {TunnelError} `unavailable` when it is damaged, cannot be opened, or was made by a newer version
   */
  static async open(path: string): Promise<SqliteStore> {
    return new SqliteStore(await openDatabase(path));
  }

  createInvite(invite: Invite): Promise<void> {
    return this.#change("invite", () => {
      checkInvite(invite);
      const { secretHash, role, name, at, expiresAt, uses } = invite;
      this.#statement("purge").run(at - INVITE_KEPT);
      const add = this.#statement("addInvite");
      const { changes } = add.run(secretHash, role, name, at, expiresAt, uses);
      if (changes === 0) throw alreadyRecorded("invite");
    });
  }

  redeemInvite(secretHash: string, now: number): Promise<{ role: Role; name: string }> {
    return this.#change("redeem a join string", () => {
      const invite = this.#statement("invite").get(secretHash) as unknown as InviteRow | undefined;
      if (!invite) throw inviteRefusal("unknown");
      if (invite.uses_left < 1) throw inviteRefusal("used");
      if (invite.expires_at <= now) throw inviteRefusal("expired", invite.expires_at);
      this.#statement("useInvite").run(secretHash);
      return { role: invite.role, name: invite.name };
    });
  }

  recordMember(member: Member): Promise<void> {
    return this.#change("record a member", () => {
      const { role, name, credentialId, keyThumbprint, expiresAt, at } = member;
      const add = this.#statement("addCredential");
      const { changes } = add.run(credentialId, role, name, keyThumbprint, at, expiresAt);
      if (changes === 0) throw alreadyRecorded("record a member");
      if (role === "device") this.#statement("addDevice").run(name, at);
    });
  }

  member(role: Role, name: string): Promise<Member | undefined> {
    return this.#read("look up a member", () => this.#credentials(role, name, 1)[0]);
  }

  memberHistory(role: Role, name: string): Promise<Member[]> {
    return this.#read("look up a member", () => this.#credentials(role, name, MAX_PAGE));
  }

  deviceSeen(name: string, sighting: Sighting): Promise<void> {
    return this.#change("record a device", () => {
      const { at, transport, remote } = sighting;
      this.#statement("addDevice").run(name, at);
      this.#statement("seeDevice").run(name, at, transport, remote.hostname, remote.port);
    });
  }

  devices(page: { after?: string; limit: number }): Promise<DeviceRecord[]> {
    return this.#read("list devices", () => {
      checkPage(page.limit);
      const rows = this.#statement("devices").all(page.after ?? "", page.limit);
      return (rows as unknown as DeviceRow[]).map(deviceRecord);
    });
  }

  isKnownDevice(name: string): Promise<boolean> {
    return this.#read(
      "look up a device",
      () => this.#statement("isDevice").get(name) !== undefined,
    );
  }

  device(name: string): Promise<DeviceRecord | undefined> {
    return this.#read("look up a device", () => {
      const row = this.#statement("device").get(name);
      return row && deviceRecord(row as unknown as DeviceRow);
    });
  }

  close(): Promise<void> {
    if (!this.#closed) this.#database.close();
    this.#closed = true;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #credentials(role: Role, name: string, limit: number): Member[] {
    const rows = this.#statement("credentials").all(role, name, limit);
    return (rows as unknown as Member[]).map((row) => ({ ...row }));
  }

  #change<T>(action: string, work: () => T): Promise<T> {
    return this.#read(action, () => transaction(this.#database, work));
  }

  // deno-lint-ignore require-await -- async turns a throw into a rejection
  async #read<T>(action: string, work: () => T): Promise<T> {
    if (this.#closed) {
      throw new TunnelError("closed", { action: "use the store", state: "it is closed" });
    }
    try {
      return work();
    } catch (cause) {
      throw toTunnelError(cause, action, "internal");
    }
  }

  #statement(name: keyof typeof QUERIES): StatementSync {
    let statement = this.#statements.get(name);
    if (!statement) {
      statement = this.#database.prepare(QUERIES[name]);
      this.#statements.set(name, statement);
    }
    return statement;
  }
}

function deviceRecord(row: DeviceRow): DeviceRecord {
  const { name, since, seen_at, transport, hostname, port } = row;
  if (seen_at === null) return { name, since };
  return { name, since, lastSeen: { at: seen_at, transport, remote: { hostname, port } } };
}
