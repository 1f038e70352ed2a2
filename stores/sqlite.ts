/**
 * The relay's store in one SQLite file. A running relay and `tunnel invite` use it at once, so every
 * change is one immediate transaction, and a reader never waits for a writer (WAL).
 */

import type { DatabaseSync } from "node:sqlite";
import { openDatabase, snapshot, transaction } from "./database.ts";
import { SqliteAudit } from "./sqlite_audit.ts";
import { SqliteMembers } from "./sqlite_members.ts";
import { SqlitePolicy } from "./sqlite_policy.ts";
import { TableStore } from "./table_store.ts";
import type { Tables } from "./tables.ts";

/** The store of `relay/store.db`. */
export class SqliteStore extends TableStore {
  /**
   * Opens the file, makes it (0600) when there is none, and brings its tables up to date.
   *
   * @throws {TunnelError} `unavailable` when it is damaged, cannot be opened, or was made by a newer version
   */
  static async open(path: string): Promise<SqliteStore> {
    return new SqliteStore(new SqliteTables(await openDatabase(path)));
  }
}

class SqliteTables implements Tables {
  readonly #database: DatabaseSync;
  readonly members: SqliteMembers;
  readonly policy: SqlitePolicy;
  readonly audit: SqliteAudit;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.members = new SqliteMembers(database);
    this.policy = new SqlitePolicy(database);
    this.audit = new SqliteAudit(database);
  }

  change<T>(work: () => T): T {
    return transaction(this.#database, work);
  }

  read<T>(work: () => T): T {
    return snapshot(this.#database, work);
  }

  close(): void {
    this.#database.close();
  }
}
