/** Files that earlier versions made. */

import { DatabaseSync } from "node:sqlite";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import {
  author,
  hashOf,
  HOUR,
  join,
  member,
  newPath,
  NOW,
  redeem,
  refused,
  seen,
} from "../tests/store_fixture.ts";
import { parentOf } from "./files.ts";
import { SqliteStore } from "./sqlite.ts";

/** As version 1 made it. */
const VERSION_1 = `PRAGMA journal_mode = WAL;
  CREATE TABLE invites (
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
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = 1;`;

const test = suite("migrations");

test("a store of version 1 keeps what it has, and operators what they could do", async () => {
  const path = version1([
    credential("c1", "operator", "night", NOW - 5),
    credential("c2", "operator", "night", NOW - 4),
    credential("c3", "operator", "day", NOW - 3),
    credential("c4", "device", "pi-7", NOW - 2),
    `INSERT INTO devices VALUES ('pi-7', ${NOW - 2}, ${NOW}, 'quic', '192.0.2.1', 4433)`,
    `INSERT INTO devices VALUES ('seen', ${NOW - 9}, NULL, NULL, NULL, NULL)`,
    `INSERT INTO invites VALUES ('${hashOf("h")}', 'operator', 'invited', ${NOW}, ${
      NOW + HOUR
    }, 1)`,
    `INSERT INTO invites VALUES ('${hashOf("u")}', 'device', 'pi-7', ${NOW - 9}, ${NOW + HOUR}, 0)`,
  ]);
  await using store = await SqliteStore.open(path);
  const { grants, standings } = await store.policy();
  const asked = { admin: false, approver: false };
  assert.equal(standings, [
    { role: "device", name: "pi-7", since: NOW - 9, ...asked },
    { role: "device", name: "seen", since: NOW - 9, ...asked },
    { role: "operator", name: "day", since: NOW - 3, ...asked },
    { role: "operator", name: "invited", since: NOW, ...asked },
    { role: "operator", name: "night", since: NOW - 5, ...asked },
  ]);
  const [day, night] = grants;
  const given = { scope: "*:*", by: "local:upgrade" };
  assert.equal(grants, [
    { id: day!.id, operator: "day", ...given, at: NOW - 3 },
    { id: night!.id, operator: "night", ...given, at: NOW - 5 },
  ]);
  assert.is.not(day!.id, night!.id);
  for (const { id } of grants) assert.match(id, /^[a-z2-7]{8}$/);
  assert.equal(await redeem(store, "h"), { role: "operator", name: "invited" });
  await refused(store, "u", NOW, "used up");
  assert.is((await store.member("operator", "night"))?.credentialId, "c2");
  assert.equal((await store.device("pi-7"))?.lastSeen, seen(NOW));
  assert.equal((await store.checkAudit()).rows, 0);
});

test("what came over can be changed and revoked like everything else", async () => {
  const path = version1([credential("c1", "operator", "night", NOW - 5)]);
  await using store = await SqliteStore.open(path);
  const [grant] = (await store.policy()).grants;
  await store.apply({ type: "revoke-grant", id: grant!.id }, author());
  await store.apply({ type: "revoke-member", role: "operator", name: "night" }, author());
  await join(store, member("c2"));
  const { grants, standings } = await store.policy();
  assert.equal([grants.length, standings[1]!.revokedAt], [0, NOW]);
});

test("an upgrade that fails leaves the file as it was", async () => {
  const path = version1(["CREATE TABLE grants (something_else TEXT)"]);
  assert.is((await failure(() => SqliteStore.open(path))).code, "unavailable");
  const database = new DatabaseSync(path);
  try {
    assert.is(database.prepare("PRAGMA user_version").get()?.user_version, 1);
    const columns = database.prepare("SELECT * FROM pragma_table_info('invites')").all();
    assert.is(columns.length, 6);
  } finally {
    database.close();
  }
});

test("an upgraded store and a new one have the same tables", async () => {
  const [old, made] = [version1([]), newPath()];
  for (const path of [old, made]) await (await SqliteStore.open(path)).close();
  assert.equal(schema(old), schema(made));
});

test.run();

function version1(sql: string[]): string {
  const path = newPath();
  Deno.mkdirSync(parentOf(path));
  const database = new DatabaseSync(path);
  try {
    database.exec(VERSION_1);
    for (const each of sql) database.exec(each);
  } finally {
    database.close();
  }
  return path;
}

function credential(id: string, role: string, name: string, at: number): string {
  return `INSERT INTO credentials
    (credential_id, role, name, key_thumbprint, issued_at, expires_at)
    VALUES ('${id}', '${role}', '${name}', 'k', ${at}, ${at + HOUR})`;
}

/** Every table, index and trigger, but for how its text is laid out. */
function schema(path: string): string[] {
  const database = new DatabaseSync(path);
  try {
    return database.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
      .all().map(({ sql }) => (sql as string).replace(/\s+/g, " "));
  } finally {
    database.close();
  }
}
