/** The audit trail in a file: what the tables refuse, and what shows when someone gets around them. */

import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { auditBytes, GENESIS } from "../core/policy/audit.ts";
import type { AuditReport } from "../core/store.ts";
import { failure } from "../tests/failure.ts";
import { author, joined, newPath, NOW } from "../tests/store_fixture.ts";
import { SqliteStore } from "./sqlite.ts";

/** Rows that {@linkcode trail} makes. */
const ROWS = 12;
const ZERO = GENESIS.hash;

const test = suite("SqliteStore: the audit trail");

const refused: [what: string, sql: string, why: RegExp][] = [
  ["to change a row", "UPDATE audit SET device = 'y' WHERE seq = 5", /never changed/],
  ["to change nothing of a row", "UPDATE audit SET device = device WHERE seq = 5", /never changed/],
  ["to replace by an update", "UPDATE OR REPLACE audit SET seq = 4 WHERE seq = 5", /never changed/],
  ["to remove a row", "DELETE FROM audit WHERE seq = 5", /kept until it is pruned/],
  ["to remove the last row", `DELETE FROM audit WHERE seq = ${ROWS}`, /kept until it is pruned/],
  ["to remove all rows", "DELETE FROM audit", /kept until it is pruned/],
  ["to replace a row", insert(5, "OR REPLACE"), /added at its end alone/],
  ["to put a row in front", insert(0), /added at its end alone/],
  ["to leave a number out", insert(ROWS + 2), /added at its end alone/],
  ["to add a row without a number", insert("NULL"), /added at its end alone|datatype mismatch/],
  ["to move the head back", end("head", 5, ZERO), /only advance/],
  ["to move the head to no row", end("head", ROWS + 1, ZERO), /only advance/],
  ["to move the anchor to another hash", end("anchor", 5, ZERO), /only advance/],
  ["to make one end the other", "UPDATE audit_ends SET which = 'head'", /only advance/],
  ["to remove an end", "DELETE FROM audit_ends", /keeps both its ends/],
  [
    "to replace an end",
    `INSERT OR REPLACE INTO audit_ends VALUES ('head', 5, '${ZERO}')`,
    /two ends/,
  ],
];
for (const [what, sql, why] of refused) {
  test(`the tables refuse ${what}`, async () => {
    const path = await trail();
    const database = new DatabaseSync(path);
    try {
      assert.throws(() => database.exec(sql), (error: Error) => why.test(error.message));
    } finally {
      database.close();
    }
    assert.equal(await check(path), { rows: ROWS, broken: undefined, seq: ROWS });
  });
}

/** With the triggers out of the way. */
const tampered: [what: string, sql: (hashes: string[]) => string[], broken: number][] = [
  ...["at = at + 1", "type = 'sign-out'", `"by" = NULL`, `"from" = '192.0.2.2'`, "device = 'y'"]
    .map(
      alter,
    ),
  ...["operator = ''", "target = '23'", "why = 'x'", "reason = NULL", "sent = 8", "took = 0"].map(
    alter,
  ),
  ...["received = NULL", "detail = detail || ' '", `hash = '${ZERO}'`, "hash = ''"].map(alter),
  ["two members that changed places", () => [
    "UPDATE audit SET sent = received, received = sent WHERE seq = 5",
  ], 5],
  ["an altered first row", () => ["UPDATE audit SET device = 'y' WHERE seq = 1"], 1],
  ["an altered last row", () => [`UPDATE audit SET device = 'y' WHERE seq = ${ROWS}`], ROWS],
  ["a row altered together with its hash", (hashes) => [
    `UPDATE audit SET device = 'y', hash = '${forged(5, hashes[4]!)}' WHERE seq = 5`,
  ], 6],
  ["the last row altered together with its hash", (hashes) => [
    `UPDATE audit SET device = 'y', hash = '${
      forged(ROWS, hashes[ROWS - 1]!)
    }' WHERE seq = ${ROWS}`,
  ], ROWS],
  ["a removed row", () => ["DELETE FROM audit WHERE seq = 5"], 5],
  ["a removed row, the others renumbered", () => [
    "DELETE FROM audit WHERE seq = 5",
    "UPDATE audit SET seq = seq - 1 WHERE seq > 5",
    `UPDATE audit_ends SET seq = ${ROWS - 1} WHERE which = 'head'`,
  ], 5],
  ["a removed tail", () => ["DELETE FROM audit WHERE seq > 8"], 9],
  ["a removed last row", () => [`DELETE FROM audit WHERE seq = ${ROWS}`], ROWS],
  ["a removed beginning", () => ["DELETE FROM audit WHERE seq <= 5"], 1],
  ["a removed beginning, the anchor moved", (hashes) => [
    "DELETE FROM audit WHERE seq <= 5",
    `UPDATE audit_ends SET seq = 5, hash = '${hashes[5]}' WHERE which = 'anchor'`,
  ], 1],
  ["every row removed", () => ["DELETE FROM audit"], 1],
  ["every row removed, the anchor moved", (hashes) => [
    "DELETE FROM audit",
    `UPDATE audit_ends SET seq = ${ROWS}, hash = '${hashes[ROWS]}' WHERE which = 'anchor'`,
  ], 1],
  ["rows that changed places", () => [
    "UPDATE audit SET seq = 999 WHERE seq = 5",
    "UPDATE audit SET seq = 5 WHERE seq = 6",
    "UPDATE audit SET seq = 6 WHERE seq = 999",
  ], 5],
  ["an inserted row, the others renumbered", () => [
    "UPDATE audit SET seq = -seq - 1 WHERE seq >= 5",
    "UPDATE audit SET seq = -seq WHERE seq < 0",
    insert(5),
    `UPDATE audit_ends SET seq = ${ROWS + 1} WHERE which = 'head'`,
  ], 5],
  ["a row behind the head", () => [insert(ROWS + 1)], ROWS + 1],
  ["a row far behind the head", () => [insert(ROWS + 100)], ROWS + 1],
  ["a row in front", () => [insert(0)], 0],
  ["a row far in front", () => [insert(-7)], -7],
  ["a row behind the head, the head moved", (hashes) => [
    insert(ROWS + 1, "", hashes[5]),
    `UPDATE audit_ends SET seq = ${ROWS + 1}, hash = '${hashes[5]}' WHERE which = 'head'`,
  ], ROWS + 1],
  ["a head with another hash", () => [end("head", ROWS, ZERO)], ROWS],
  ["a head that is back", (hashes) => [end("head", 5, hashes[5]!)], 6],
  ["a head that is ahead", () => [end("head", ROWS + 1, ZERO)], ROWS + 1],
  ["an anchor with another hash", () => [end("anchor", 0, `${ZERO.slice(0, -1)}E`)], 1],
  ["an anchor whose hash is none", () => [end("anchor", 0, "!")], 1],
  ["an anchor ahead of its rows", (hashes) => [end("anchor", 5, hashes[5]!)], 1],
  ["no head", () => ["DELETE FROM audit_ends WHERE which = 'head'"], 1],
];
for (const [what, sql, broken] of tampered) {
  test(`${what} shows`, async () => {
    const path = await trail();
    tamper(path, sql);
    assert.is((await check(path)).broken, broken);
  });
}

test("after a pruning the same shows: a further beginning removed, the anchor moved", async () => {
  const path = await trail();
  await using store = await SqliteStore.open(path);
  await store.pruneAudit(NOW + 4, author(NOW));
  assert.is((await store.checkAudit()).broken, undefined);
  tamper(path, (hashes) => [
    "DELETE FROM audit WHERE seq <= 7",
    `UPDATE audit_ends SET seq = 7, hash = '${hashes[7]}' WHERE which = 'anchor'`,
  ]);
  assert.is((await store.checkAudit()).broken, 4);
  tamper(path, () => [`UPDATE audit_ends SET seq = 0, hash = '${ZERO}' WHERE which = 'anchor'`]);
  assert.is((await store.checkAudit()).broken, 1);
});

test("a missing row that is pruned later stays told: the numbers do not add up", async () => {
  const path = await trail();
  tamper(path, () => ["DELETE FROM audit WHERE seq = 2"]);
  await using store = await SqliteStore.open(path);
  assert.is(await store.pruneAudit(NOW + 4, author(NOW)), 2);
  assert.match((await store.audit({ after: ROWS, limit: 1 }))[0]!.detail!, "2 rows, 1 to 3,");
});

test("a flaw is found beyond the first page, and behind it others stay unseen", async () => {
  const path = newPath();
  await using store = await SqliteStore.open(path);
  const events = Array.from({ length: 1_200 }, () => joined("device", "x"));
  await store.record(events);
  for (const seq of [1_001, 1_000]) {
    tamper(path, () => [`UPDATE audit SET device = 'y' WHERE seq = ${seq}`]);
    const report = await store.checkAudit();
    assert.equal([report.rows, report.head.seq, report.broken], [seq - 1, seq - 1, seq]);
  }
});

test("nothing is added behind a head that is damaged", async () => {
  const path = await trail();
  for (const sql of [end("head", ROWS, "!"), "DELETE FROM audit_ends WHERE which = 'head'"]) {
    tamper(path, () => [sql]);
    await using store = await SqliteStore.open(path);
    await failure(() => store.record([joined("device", "x")]));
    assert.is((await store.audit({ limit: 99 })).length, ROWS);
  }
});

test("a change whose row cannot be added is not made", async () => {
  const path = await trail();
  tamper(path, () => [end("head", ROWS, "!")]);
  await using store = await SqliteStore.open(path);
  await store.devicesSeen([["x", {
    at: 1,
    transport: "quic",
    remote: { hostname: "h", port: 1 },
  }]]);
  const before = await store.policy();
  const error = await failure(() =>
    store.apply({ type: "revoke-member", role: "device", name: "x" }, author())
  );
  assert.is(error.code, "unavailable");
  assert.match(error.message, "the audit trail: its head is damaged; restore the store");
  assert.equal(await store.policy(), before);
});

test("several processes' events are one chain", async () => {
  const path = newPath();
  await using one = await SqliteStore.open(path);
  await using two = await SqliteStore.open(path);
  for (let round = 0; round < 20; round++) {
    await Promise.all([
      one.record([joined("device", "x"), joined("device", "y")]),
      two.record([joined("operator", "o")]),
    ]);
  }
  assert.equal(await one.checkAudit(), await two.checkAudit());
  assert.is((await one.checkAudit()).rows, 60);
});

test("an index has the rows of one operator, device or author in their order", async () => {
  const path = await trail();
  const database = new DatabaseSync(path);
  const plan = (sql: string) =>
    database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all().map(({ detail }) => detail).join("; ");
  try {
    for (const column of ["device", "operator", `"by"`]) {
      const found = plan(`SELECT * FROM audit WHERE ${column} = 'x' AND seq > 5 ORDER BY seq`);
      assert.match(found, "USING INDEX audit_by_");
      assert.not.match(found, "TEMP B-TREE");
    }
  } finally {
    database.close();
  }
});

test.run();

/** The path of a store with a trail of {@linkcode ROWS} rows, a millisecond apart. */
async function trail(): Promise<string> {
  const path = newPath();
  await using store = await SqliteStore.open(path);
  await store.record(Array.from({ length: ROWS }, (_, i) => ({
    ...{ at: NOW + 1 + i, type: "dial ended" as const, by: "operator:o", from: "192.0.2.1" },
    ...{ device: "x", operator: "o", target: "22", why: "w", reason: "r" },
    ...{ sent: 1, received: 2, took: 3, detail: `dial ${i}` },
  })));
  return path;
}

async function check(path: string): Promise<{ rows: number; broken?: number; seq: number }> {
  await using store = await SqliteStore.open(path);
  const { rows, broken, head }: AuditReport = await store.checkAudit();
  return { rows, broken, seq: head.seq };
}

/** Does what the triggers would refuse, to somebody who knows the hashes of all rows. */
function tamper(path: string, sql: (hashes: string[]) => string[]): void {
  const database = new DatabaseSync(path);
  try {
    const rows = database.prepare("SELECT seq, hash FROM audit").all();
    const hashes: string[] = [];
    for (const { seq, hash } of rows) hashes[seq as number] = hash as string;
    const triggers = database.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
      .all();
    for (const { name } of triggers) database.exec(`DROP TRIGGER ${name}`);
    for (const each of sql(hashes)) database.exec(each);
    for (const { sql } of triggers) database.exec(sql as string);
  } finally {
    database.close();
  }
}

function alter(change: string): [string, () => string[], number] {
  return [`${change} of a row`, () => [`UPDATE audit SET ${change} WHERE seq = 5`], 5];
}

function insert(seq: number | "NULL", or = "", hash = ZERO): string {
  return `INSERT ${or} INTO audit (seq, hash, at, type) VALUES (${seq}, '${hash}', ${NOW}, 'dial')`;
}

function end(which: "anchor" | "head", seq: number, hash: string): string {
  return `UPDATE audit_ends SET seq = ${seq}, hash = '${hash}' WHERE which = '${which}'`;
}

/** The hash that row `seq` would have were it about another device. */
function forged(seq: number, before: string): string {
  const event = {
    ...{ at: NOW + seq, type: "dial ended" as const, by: "operator:o", from: "192.0.2.1" },
    ...{ device: "y", operator: "o", target: "22", why: "w", reason: "r" },
    ...{ sent: 1, received: 2, took: 3, detail: `dial ${seq - 1}` },
  };
  const bytes = auditBytes({ seq: seq - 1, hash: before }, event);
  return createHash("sha256").update(bytes).digest("base64url");
}
