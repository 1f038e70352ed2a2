/** The tables of the SQLite store, and how a file of an older version gets them. */

import type { DatabaseSync } from "node:sqlite";
import { TunnelError } from "../core/errors.ts";

/**
 * One entry a version, never changed after a release: the file's `user_version` says how many have
 * run. Names are ASCII, so SQLite's byte order is JavaScript's.
 */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE invites (
    secret_hash TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('device', 'operator')),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX invites_by_expiry ON invites (expires_at);

  CREATE TABLE credentials (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    credential_id TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('device', 'operator')),
    name TEXT NOT NULL,
    key_thumbprint TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX credentials_by_name ON credentials (role, name, id);

  CREATE TABLE devices (
    name TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    seen_at INTEGER,
    transport TEXT,
    hostname TEXT,
    port INTEGER
  ) STRICT, WITHOUT ROWID;`,
];

/**
 * Runs what has not run on this file, inside the caller's transaction.
 *
 * @throws {TunnelError} `unavailable` when the file was made by a newer version
 */
export function migrate(database: DatabaseSync): void {
  const { user_version: version } = database.prepare("PRAGMA user_version").get() as {
    user_version: number;
  };
  if (version > MIGRATIONS.length) {
    throw new TunnelError("unavailable", {
      action: "open the store",
      state: `it is of version ${version}, this program knows up to ${MIGRATIONS.length}`,
      remedy: "use the newer program",
    });
  }
  for (const step of MIGRATIONS.slice(version)) database.exec(step);
  database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
}
