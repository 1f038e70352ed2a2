/** What admins ask of a relay, and what is refused to everybody else. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { type Fleet, startFleet } from "../../tests/fleet.ts";
import { hashOf, HOUR } from "../../tests/store_fixture.ts";
import { bytes, text } from "../../tests/text.ts";
import { Admin } from "../admin.ts";
import { MAX_SENT_TEXT } from "../admin_messages.ts";
import type { Reply } from "../control.ts";
import { delay } from "../deadline.ts";
import type { Link } from "../link.ts";
import { MAX_AUDIT_TEXT } from "../policy/audit.ts";
import type { Change } from "../policy/change.ts";

const test = suite("relay: admin");
/** The store's policy is looked at when somebody asks, and never by itself. */
const NEVER = { policyInterval: 2 ** 31 - 1 };
const TARGET = { port: 7 };

const asked: [what: string, ask: (admin: Admin) => Promise<unknown>][] = [
  ["change", (admin) => admin.change({ type: "grant", operator: "anna", scope: "*:*" })],
  ["operators", (admin) => admin.operators()],
  ["grants of another", (admin) => admin.grants("boss")],
  ["audit", (admin) => admin.audit({ limit: 1 })],
  ["audit-check", (admin) => admin.checkAudit()],
];
for (const [what, ask] of asked) {
  test(`${what}: for an admin, not for an operator, and not for a device`, async () => {
    await using fleet = await startFleet(NEVER);
    const [boss] = await admin(fleet);
    await bounded("the answer", ask(boss));
    const before = await fleet.store.policy();
    const anna = new Admin(await fleet.operator("anna", { grants: [] }));
    const device = new Admin(await fleet.device("x"));
    const error = await bounded("a refusal", failureOf(ask(anna)));
    assert.is(error.code, "refused");
    assert.match(error.message, "operator anna is no admin");
    assert.match(
      (await bounded("a refusal", failureOf(ask(device)))).message,
      "only an operator may ask for this",
    );
    assert.equal((await fleet.store.policy()).grants, before.grants);
  });
}

test("who was an admin asks in vain from the change on, without a look at the clock", async () => {
  await using fleet = await startFleet(NEVER);
  const [boss] = await admin(fleet);
  await boss.operators();
  const change = { type: "rights", operator: "boss", rights: {} } as const;
  await fleet.store.apply(change, { by: "local:test", at: Date.now() });
  assert.is((await bounded("a refusal", failureOf(boss.operators()))).code, "refused");
});

test("a change says what it gave, is by the admin, and from its address", async () => {
  await using fleet = await startFleet(NEVER);
  const [boss] = await admin(fleet);
  const until = Date.now() + 60_000;
  const [grant] = await boss.change({ type: "grant", operator: "new", scope: "x:7", until });
  assert.equal([grant!.operator, grant!.scope, grant!.until, grant!.by], [
    ...["new", "x:7", until, "operator:boss"],
  ]);
  const { rows } = await boss.audit({ before: Number.MAX_SAFE_INTEGER, limit: 1 });
  const { type, by, from, operator } = rows[0]!;
  assert.equal([type, by, operator], ["grant", "operator:boss", "new"]);
  assert.ok(from);
});

const cuts: [what: string, change: (grant: string) => Change][] = [
  ["a grant", (id) => ({ type: "revoke-grant", id })],
  ["an operator", () => revoke("operator", "anna")],
  ["a device", () => revoke("device", "x")],
];
for (const [what, change] of cuts) {
  test(`revoking ${what} cuts a channel that is under way at once`, async () => {
    await using fleet = await startFleet(NEVER);
    await fleet.device("x");
    const [boss] = await admin(fleet);
    const anna = await fleet.operator("anna", { grants: [{ scope: "x:7" }] });
    anna.closed.catch(() => {}); // Revoked with its operator.
    const channel = await bounded("the dial", fleet.dial(anna, "x", TARGET));
    await channel.write(bytes("!"));
    assert.is(text(await bounded("the echo", channel.read())), "!");
    const [grant] = await boss.grants("anna");
    await boss.change(change(grant!.id));
    await bounded("the end", failureOf(channel.closed));
    // A device that is cut off itself keeps what it has until its window ends; nothing passes.
    if (what === "a device") return;
    await bounded("nothing is left of it", until(() => fleet.devices[0]!.size === 0));
  });
}

test("a grant that is given lets a dial in at once", async () => {
  await using fleet = await startFleet(NEVER);
  await fleet.device("x");
  const [boss] = await admin(fleet);
  const anna = await fleet.operator("anna", { grants: [] });
  assert.is((await failureOf(fleet.dial(anna, "x", TARGET))).code, "refused");
  await boss.change({ type: "grant", operator: "anna", scope: "x:7" });
  await bounded("the dial", fleet.dial(anna, "x", TARGET));
});

const impossible: [what: string, change: Change, words: RegExp][] = [
  ["a grant that is not there", { type: "revoke-grant", id: "aaaaaaaa" }, /no grant aaaaaaaa/],
  ["a device that is not there", revoke("device", "y"), /no device y/],
  ["a grant that has ended", grantUntil(1), /would end before it is given/],
];
for (const [what, change, words] of impossible) {
  test(`${what} is told in the words of the store, and the session goes on`, async () => {
    await using fleet = await startFleet(NEVER);
    const [boss, link] = await admin(fleet);
    const error = await bounded("the answer", failureOf(boss.change(change)));
    assert.is(error.code, "usage");
    assert.match(error.message, words);
    await bounded("a ping", link.ping());
  });
}

test("a change that is longer than a message is refused before it is sent", async () => {
  await using fleet = await startFleet(NEVER);
  const [boss, link] = await admin(fleet);
  const targets = Array.from({ length: 32 }, (_, i) => `${"a".repeat(50)}${i}.local:${i + 1}`);
  const scopes = Array.from({ length: 25 }, (_, i) => `x${i}:${targets.join(",")}`);
  const change = invite("anna", { grants: scopes.map((scope) => ({ scope })) });
  const error = await failureOf(boss.change(change));
  assert.is(error.code, "usage");
  assert.match(error.message, "too long for one message");
  const fits = { ...change, grants: change.grants!.slice(0, 18) };
  assert.is((await bounded("the answer", boss.change(fits))).length, 18);
  await bounded("a ping", link.ping());
});

const leaving: [what: string, change: Change][] = [
  ["revoke itself", revoke("operator", "boss")],
  ["give up its right", { type: "rights", operator: "boss", rights: { approver: true } }],
  ["invite itself without it", invite("boss", { rights: {} })],
];
for (const [what, change] of leaving) {
  test(`the last admin cannot ${what}; one of two can, and hears that it did`, async () => {
    await using fleet = await startFleet(NEVER);
    const [boss, link] = await admin(fleet);
    link.closed.catch(() => {}); // When it is revoked.
    const error = await bounded("the answer", failureOf(boss.change(change)));
    assert.is(error.code, "refused");
    assert.match(error.message, "operator boss is the last admin");
    await boss.change({ type: "rights", operator: "other", rights: { admin: true } });
    await bounded("the change", boss.change(change));
    const { standings } = await fleet.store.policy();
    assert.is(standings.find(({ name }) => name === "boss")!.admin, false);
  });
}

test("an admin who is revoked is not another admin", async () => {
  await using fleet = await startFleet(NEVER);
  const [boss] = await admin(fleet);
  await boss.change({ type: "rights", operator: "other", rights: { admin: true } });
  await boss.change(revoke("operator", "other"));
  const error = await failureOf(boss.change(revoke("operator", "boss")));
  assert.match(error.message, "the last admin");
});

test("a relay that issues no credentials refuses to invite, and changes all else", async () => {
  await using fleet = await startFleet({ ...NEVER, authority: undefined });
  const [boss] = await admin(fleet);
  const error = await failureOf(boss.change(invite("anna", {})));
  assert.is(error.code, "refused");
  assert.match(error.message, "tunnel authority sign");
  await boss.change({ type: "grant", operator: "anna", scope: "x:7" });
});

test("an operator sees its own grants, an admin all, over all pages and without those that ended", async () => {
  let now = Date.now();
  await using fleet = await startFleet({ ...NEVER, now: () => now });
  const [boss] = await admin(fleet);
  const targets = Array.from({ length: 32 }, (_, i) => `${"h".repeat(50)}${i}:${i + 1}`).join(",");
  const scopes = Array.from({ length: 60 }, (_, i) => `x${i}:${targets}`);
  const author = { by: "local:test", at: now };
  for (const scope of scopes) {
    await fleet.store.apply({ type: "grant", operator: "anna", scope }, author);
  }
  await fleet.store.apply({ ...grantUntil(now + 5), operator: "bob" }, author);
  const anna = new Admin(await fleet.operator("anna", { grants: [] }));
  const own = await bounded("the grants", anna.grants());
  assert.equal(own.map(({ scope }) => scope).sort(), scopes.toSorted());
  assert.equal(own, await anna.grants("anna"));
  assert.is((await boss.grants()).length, 62, "the admin's own, 60, and bob's");
  assert.is((await boss.grants("bob")).length, 1);
  now += 5;
  assert.equal(await boss.grants("bob"), []);
});

test("operators come by name, over all pages", async () => {
  await using fleet = await startFleet(NEVER);
  const [boss] = await admin(fleet);
  const names = Array.from({ length: 700 }, (_, i) => `operator-with-a-long-name-${1_000 + i}`);
  for (const operator of names) {
    const rights = { approver: operator.endsWith("7") };
    await fleet.store.apply({ type: "rights", operator, rights }, {
      ...{ by: "local:test", at: Date.now() },
    });
  }
  const all = await bounded("the list", boss.operators());
  assert.equal(all.map(({ name }) => name), ["boss", ...names]);
  assert.is(all.filter(({ approver }) => approver).length, 70);
});

test("the trail is read forwards and backwards, whatever long texts are in its rows", async () => {
  await using fleet = await startFleet(NEVER);
  const [boss] = await admin(fleet);
  const long = "€".repeat(MAX_AUDIT_TEXT);
  const texts = { from: long, target: long, why: long, reason: long, detail: long };
  const event = { at: Date.now(), type: "dial" as const, by: long, device: long, operator: long };
  await fleet.store.record(Array.from({ length: 9 }, () => ({ ...event, ...texts })));
  await fleet.store.record(Array.from({ length: 900 }, () => ({ ...event, by: "device:x" })));
  const all = (await fleet.store.audit({ limit: 1_000 })).map(({ seq, hash }) => [seq, hash]);
  const forwards: unknown[] = [];
  for (let after = 0, more = true; more;) {
    const page = await bounded("a page", boss.audit({ after, limit: 1_000 }));
    for (const { seq, hash, why } of page.rows) {
      forwards.push([seq, hash]);
      assert.ok((why ?? "").length <= MAX_SENT_TEXT);
    }
    after = page.rows.at(-1)?.seq ?? after;
    more = page.more;
  }
  assert.equal(forwards.slice(0, all.length), all);
  const backwards: unknown[] = [];
  for (let before = all.at(-1)![0] as number + 1, more = true; more;) {
    const page = await bounded("a page", boss.audit({ before, limit: 1_000 }));
    backwards.unshift(...page.rows.map(({ seq, hash }) => [seq, hash]));
    before = page.rows[0]!.seq;
    more = page.more;
  }
  assert.equal(backwards, all);
});

test("a check tells what the store's own does, to several who ask at once", async () => {
  await using fleet = await startFleet(NEVER);
  const [boss, link] = await admin(fleet);
  const reports = await bounded(
    "the checks",
    Promise.all([boss.checkAudit(), new Admin(link).checkAudit()]),
  );
  for (const { rows, head, broken } of reports) {
    const [row] = await fleet.store.audit({ after: head.seq - 1, limit: 1 });
    assert.equal([rows, head.hash, broken], [head.seq, row!.hash, undefined]);
  }
});

test("a relay that lists in circles is not followed", async () => {
  const entry = { name: "anna", since: 0, admin: false, approver: false };
  const reply: Reply = { type: "operators", id: 1, operators: [entry], more: true };
  const circling = new Admin({ request: () => Promise.resolve(reply) });
  assert.is((await bounded("the end", failureOf(circling.operators()))).code, "protocol");
  const row = { seq: 1, hash: hashOf("x"), at: 0, type: "dial" } as const;
  const page: Reply = { type: "audit", id: 1, rows: [row, row], more: true };
  const repeating = new Admin({ request: () => Promise.resolve(page) });
  assert.is((await failureOf(repeating.audit({ limit: 5 }))).code, "protocol");
  const empty = new Admin({ request: () => Promise.resolve({ ...page, rows: [] }) });
  assert.is((await failureOf(empty.audit({ limit: 5 }))).code, "protocol");
});

test.run();

/** Operator boss, an admin. */
async function admin(fleet: Fleet): Promise<[Admin, Link]> {
  const link = await fleet.operator("boss");
  const change = { type: "rights", operator: "boss", rights: { admin: true } } as const;
  await fleet.store.apply(change, { by: "local:test", at: Date.now() });
  return [new Admin(link), link];
}

function revoke(role: "operator" | "device", name: string): Change {
  return { type: "revoke-member", role, name };
}

function grantUntil(until: number) {
  return { type: "grant", operator: "anna", scope: "x:7", until } as const;
}

type Invitation = Extract<Change, { type: "invite" }>;

function invite(name: string, more: Partial<Invitation>): Invitation {
  const whole = {
    type: "invite",
    role: "operator",
    name,
    uses: 1,
    secretHash: hashOf(name),
  } as const;
  return { ...whole, expiresAt: Date.now() + HOUR, ...more };
}

/** Settles when a condition holds, which the caller bounds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(0);
}
