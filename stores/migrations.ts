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

  // Until here every operator could dial everything, so those who had joined get the grant of that.
  `ALTER TABLE invites ADD COLUMN validity INTEGER;
  CREATE INDEX invites_by_name ON invites (role, name);

  CREATE TABLE policy_version (version INTEGER NOT NULL) STRICT;
  INSERT INTO policy_version VALUES (1);

  CREATE TABLE standings (
    role TEXT NOT NULL CHECK (role IN ('device', 'operator')),
    name TEXT NOT NULL,
    since INTEGER NOT NULL,
    admin INTEGER NOT NULL DEFAULT 0 CHECK (admin IN (0, 1)),
    approver INTEGER NOT NULL DEFAULT 0 CHECK (approver IN (0, 1)),
    revoked_at INTEGER,
    PRIMARY KEY (role, name)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO standings (role, name, since)
    SELECT role, name, min(at) FROM (
      SELECT role, name, issued_at AS at FROM credentials
      UNION ALL SELECT 'device', name, since FROM devices
      UNION ALL SELECT role, name, created_at FROM invites
    ) GROUP BY role, name;

  CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    operator TEXT NOT NULL,
    scope TEXT NOT NULL,
    ends_at INTEGER,
    given_at INTEGER NOT NULL,
    given_by TEXT NOT NULL,
    UNIQUE (operator, scope)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX grants_by_end ON grants (ends_at) WHERE ends_at IS NOT NULL;
  INSERT INTO grants (id, operator, scope, given_at, given_by)
    SELECT ${"substr('abcdefghijklmnopqrstuvwxyz234567', 1 + (random() & 31), 1) || ".repeat(8)}'',
      name, '*:*', min(issued_at), 'local:upgrade'
    FROM credentials WHERE role = 'operator' GROUP BY name;

  CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    hash TEXT NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    "by" TEXT,
    "from" TEXT,
    device TEXT,
    operator TEXT,
    target TEXT,
    why TEXT,
    reason TEXT,
    sent INTEGER,
    received INTEGER,
    took INTEGER,
    detail TEXT
  ) STRICT;
  CREATE INDEX audit_by_device ON audit (device, seq) WHERE device IS NOT NULL;
  CREATE INDEX audit_by_operator ON audit (operator, seq) WHERE operator IS NOT NULL;
  CREATE INDEX audit_by_author ON audit ("by", seq) WHERE "by" IS NOT NULL;

  CREATE TABLE audit_ends (
    which TEXT PRIMARY KEY CHECK (which IN ('anchor', 'head')),
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO audit_ends VALUES
    ('anchor', 0, 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'),
    ('head', 0, 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA');

  -- Rows are added behind the head, never changed, and go only once the anchor has passed them.
  CREATE TRIGGER audit_adds_behind_head BEFORE INSERT ON audit
  WHEN NEW.seq IS NOT (SELECT seq + 1 FROM audit_ends WHERE which = 'head')
  BEGIN SELECT RAISE(ABORT, 'a row of the audit trail is added at its end alone'); END;
  CREATE TRIGGER audit_moves_head AFTER INSERT ON audit
  BEGIN UPDATE audit_ends SET seq = NEW.seq, hash = NEW.hash WHERE which = 'head'; END;
  CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'a row of the audit trail is never changed'); END;
  CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
  WHEN OLD.seq > coalesce((SELECT seq FROM audit_ends WHERE which = 'anchor'), 0)
  BEGIN SELECT RAISE(ABORT, 'a row of the audit trail is kept until it is pruned'); END;
  CREATE TRIGGER audit_ends_advance BEFORE UPDATE ON audit_ends
  WHEN NEW.which <> OLD.which OR NEW.seq <= OLD.seq
    OR NEW.hash IS NOT (SELECT hash FROM audit WHERE seq = NEW.seq)
  BEGIN SELECT RAISE(ABORT, 'the ends of the audit trail only advance, from row to row'); END;
  CREATE TRIGGER audit_ends_are_two BEFORE INSERT ON audit_ends
  BEGIN SELECT RAISE(ABORT, 'the audit trail has two ends'); END;
  CREATE TRIGGER audit_ends_stay BEFORE DELETE ON audit_ends
  BEGIN SELECT RAISE(ABORT, 'the audit trail keeps both its ends'); END;`,
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
