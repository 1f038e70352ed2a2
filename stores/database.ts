/** Opening and changing an SQLite file that several processes use at once. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { toTunnelError } from "../core/errors.ts";
import { withFileLock } from "./file_lock.ts";
import { ensureDir, isOpenToOthers, parentOf } from "./files.ts";
import { migrate } from "./migrations.ts";

/** Milliseconds a change waits for another process's change to finish. */
const BUSY_TIMEOUT = 5_000;

/**
 * Opens the file, makes it (0600) when there is none, and brings its tables up to date.
 *
 * @throws {TunnelError} `unavailable` when it is damaged, cannot be opened, or was made by a newer version
 */
export async function openDatabase(path: string): Promise<DatabaseSync> {
  await ensureDir(parentOf(path));
  // SQLite fails at once, whatever its busy timeout, when two processes turn on WAL together.
  return await withFileLock(`${path}.lock`, async () => {
    let database: DatabaseSync | undefined;
    try {
      await makePrivate(path);
      database = new DatabaseSync(path);
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}; PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON`);
      const opened = database;
      transaction(opened, () => migrate(opened));
      return opened;
    } catch (cause) {
      database?.close();
      throw toTunnelError(cause, `open the store ${path}`, "unavailable");
    }
  });
}

/** All of `work` or nothing. It takes the write lock first, so what it reads cannot change under it. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (cause) {
    // SQLite has rolled back by itself after some failures (a full disk); then there is none to end.
    if (database.isTransaction) database.exec("ROLLBACK");
    throw cause;
  }
}

/** Reads of one instant, whatever other processes change meanwhile. */
export function snapshot<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN");
  try {
    return work();
  } finally {
    if (database.isTransaction) database.exec("COMMIT");
  }
}

/** Prepares each query when it is first wanted, and keeps it. */
export function prepared<Q extends Record<string, string>>(
  database: DatabaseSync,
  queries: Q,
): (name: keyof Q) => StatementSync {
  const statements = new Map<keyof Q, StatementSync>();
  return (name) => {
    let statement = statements.get(name);
    if (!statement) {
      statement = database.prepare(queries[name]!);
      statements.set(name, statement);
    }
    return statement;
  };
}

/** SQLite gives `-wal` and `-shm` the mode of the file itself, so that one has to be right first. */
async function makePrivate(path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, write: true, mode: 0o600 });
  if (!isOpenToOthers(await file.stat())) return;
  for (const each of [path, `${path}-wal`, `${path}-shm`]) {
    try {
      await Deno.chmod(each, 0o600);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    }
  }
}
