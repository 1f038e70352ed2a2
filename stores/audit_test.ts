/** The contract of `core/store.ts` on the audit trail, run against every store. */

import { setImmediate } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type AuditEvent, type AuditQuery, type AuditRow, GENESIS } from "../core/policy/audit.ts";
import { MAX_PAGE, type Store } from "../core/store.ts";
import { failure } from "../tests/failure.ts";
import { newSeed, Random } from "../tests/random.ts";
import { author, invite, join, joined, member, NOW, STORES } from "../tests/store_fixture.ts";

const full: AuditEvent = {
  ...{ at: NOW, type: "dial ended", by: "operator:o", from: "2001:db8::1", device: "x" },
  ...{ operator: "o", target: "10.0.0.5:80", why: "reset", reason: "ticket 4711 ☎ 'x'" },
  ...{ sent: 0, received: Number.MAX_SAFE_INTEGER, took: 12, detail: "quic" },
};

for (const [name, open] of STORES) {
  const test = suite(`audit trail: ${name}`);
  const random = new Random(newSeed());

  test("an empty trail checks", async () => {
    await using store = await open();
    assert.equal(await store.audit({ limit: 9 }), []);
    assert.equal(await store.checkAudit(), { rows: 0, head: GENESIS });
  });

  test("events come back as they were, numbered from 1, with a hash that others can compute", async () => {
    await using store = await open();
    await store.record([{ at: NOW, type: "sign-in" }, full]);
    await store.record([]);
    const rows = await store.audit({ limit: 9 });
    assert.equal(rows.map(content), [{ at: NOW, type: "sign-in" }, full]);
    assert.equal(rows.map(({ seq }) => seq), [1, 2]);
    // sha256sum of 32 zero bytes and [1,1767225600000,"sign-in",null,...], in base64url.
    assert.is(rows[0]!.hash, "u-dhf1aOuGNrp9jOLgoU2HXpVA9l9Wya_HJA2Lq3Du4");
    assert.equal(await store.checkAudit(), { rows: 2, head: { seq: 2, hash: rows[1]!.hash } });
  });

  test("every change and every join has its rows, in one chain", async () => {
    await using store = await open();
    const night = { role: "operator", name: "night" } as const;
    const [grant] = await invite(store, "h", {
      ...{ ...night, rights: {}, grants: [{ scope: "x:22" }] },
    });
    await join(store, member("c1", night));
    await store.apply({ type: "revoke-grant", id: grant!.id }, author());
    await store.apply({ type: "revoke-member", ...night }, author());
    const rows = await store.audit({ limit: 9 });
    const types = ["invite", "rights", "grant", "join", "revoke", "revoke"];
    assert.equal(rows.map(({ type }) => type), types);
    assert.is((await store.checkAudit()).rows, 6);
  });

  test("of a batch with an event that is refused none is kept", async () => {
    await using store = await open();
    const bad = { ...full, took: 0.5 };
    assert.is((await failure(() => store.record([full, bad]))).code, "usage");
    assert.equal(await store.audit({ limit: 9 }), []);
  });

  test("a peer's texts do not break the chain, whatever is in them", async () => {
    await using store = await open();
    const units = [0, 1, 10, 0x27, 0x41, 0x7f, 0x9b, 0x2028, 0xd800, 0xdfff, 0xfeff, 0xffff];
    const reasons = Array.from(
      { length: 200 },
      () =>
        String.fromCharCode(...Array.from({ length: random.below(20) }, () => random.pick(units))),
    );
    await store.record(reasons.map((reason) => ({ ...full, reason })));
    assert.equal((await store.checkAudit()).broken, undefined);
    for (const { reason } of await store.audit({ limit: MAX_PAGE })) {
      // deno-lint-ignore no-control-regex -- that there is none is the test
      assert.not.match(reason!, /[\u0000-\u001f\u007f-\u009f]/);
      assert.ok(reason!.isWellFormed());
    }
  });

  test("rows are found by number, time, device and operator, a page at a time", async () => {
    await using store = await open();
    const all = await record(store, 300, random);
    for (let round = 0; round < 60; round++) {
      const query: AuditQuery = {
        limit: 1 + random.below(40),
        ...(random.below(2) && { after: random.below(300) }),
        ...(random.below(2) && { before: random.below(310) }),
        ...(random.below(2) && { since: NOW + random.below(300) }),
        ...(random.below(2) && { device: `d${random.below(4)}` }),
        ...(random.below(2) && { operator: `o${random.below(4)}` }),
      };
      const { after = 0, before, since = 0, device, operator, limit } = query;
      const selected = all.filter((row) =>
        row.seq > after && row.seq < (before ?? Infinity) && row.at >= since &&
        (device === undefined || row.device === device || row.by === `device:${device}`) &&
        (operator === undefined || row.operator === operator || row.by === `operator:${operator}`)
      );
      const expected = before === undefined ? selected.slice(0, limit) : selected.slice(-limit);
      assert.equal(await store.audit(query), expected, Deno.inspect(query));
    }
  });

  for (const limit of [0, 1.5, NaN, MAX_PAGE + 1]) {
    test(`a page of ${limit} rows is refused`, async () => {
      await using store = await open();
      assert.is((await failure(() => store.audit({ limit }))).code, "usage");
    });
  }

  test("what is pruned is gone up to that instant, and the row that says so follows", async () => {
    await using store = await open();
    const all = await record(store, 10, random);
    assert.is(await store.pruneAudit(all[4]!.at, author(NOW + 50)), 4);
    const rows = await store.audit({ limit: 99 });
    assert.equal(rows.slice(0, -1), all.slice(4));
    const { hash } = all[3]!;
    assert.equal(content(rows.at(-1)!), {
      ...{ at: NOW + 50, type: "prune", by: "operator:anna", from: "192.0.2.7" },
      detail: `4 rows, 1 to 4, whose hash is ${hash}`,
    });
    const last = rows.at(-1)!;
    assert.equal(await store.checkAudit(), { rows: 7, head: { seq: 11, hash: last.hash } });
    assert.is(await store.pruneAudit(all[4]!.at, author(NOW + 51)), 0);
    assert.is((await store.checkAudit()).rows, 7, "nothing to tell of");
  });

  test("pruning again and again leaves a chain that checks and can be added to", async () => {
    await using store = await open();
    for (let round = 1; round <= 5; round++) {
      const rows = await record(store, 20, random);
      await store.pruneAudit(rows[random.below(20)]!.at, author(NOW));
      assert.is((await store.checkAudit()).broken, undefined);
    }
    await store.pruneAudit(NOW + 1_000_000, author(NOW));
    assert.equal((await store.audit({ limit: 9 })).map(({ type }) => type), ["prune"]);
    await store.record([full]);
    assert.equal((await store.checkAudit()).broken, undefined);
  });

  test("a row behind a younger one is kept with it: the chain has no holes", async () => {
    await using store = await open();
    await store.record([1, 9, 2, 3].map((at) => ({ at, type: "dial" })));
    assert.is(await store.pruneAudit(5, author(9)), 1);
    assert.equal((await store.audit({ limit: 9 })).map(({ at }) => at), [9, 2, 3, 9]);
  });

  test("more than a page is pruned and checked too", async () => {
    await using store = await open();
    await store.record(Array.from({ length: 4_500 }, (_, at) => ({ at, type: "dial" })));
    assert.is(await store.pruneAudit(4_400, author(NOW)), 4_400);
    const report = await store.checkAudit();
    const tellers = (await store.audit({ limit: MAX_PAGE })).filter(({ type }) => type === "prune");
    assert.is(report.rows, 100 + tellers.length);
    assert.is(report.broken, undefined);
  });

  for (const before of [NaN, Infinity, -1]) {
    test(`nothing is pruned before ${before}`, async () => {
      await using store = await open();
      await store.record([full]);
      assert.is((await failure(() => store.pruneAudit(before, author()))).code, "usage");
      assert.is((await store.checkAudit()).rows, 1);
    });
  }

  test("others are served while the trail is checked, and what they add is no flaw", async () => {
    await using store = await open();
    await store.record(Array.from({ length: 3_000 }, () => full));
    const checking = store.checkAudit();
    let isDone = false;
    checking.finally(() => isDone = true);
    let served = 0;
    while (!isDone) {
      await setImmediate();
      await store.record([full]);
      served++;
    }
    const report = await checking;
    assert.equal([report.rows, report.broken], [3_000, undefined]);
    assert.ok(served > 1, `${served} events were recorded meanwhile`);
  });

  test("rows that are pruned during a check are not missing", async () => {
    await using store = await open();
    await store.record(Array.from({ length: 3_000 }, (_, at) => ({ at, type: "dial" })));
    const checking = store.checkAudit();
    await setImmediate();
    await store.pruneAudit(2_900, author(NOW));
    assert.is((await checking).broken, undefined);
  });

  test("what the trail gives out is not the store's own", async () => {
    await using store = await open();
    await store.record([full]);
    const [row] = await store.audit({ limit: 1 });
    Object.assign(row!, { device: "y" });
    assert.is((await store.audit({ limit: 1 }))[0]!.device, "x");
    assert.is((await store.checkAudit()).broken, undefined);
  });

  test.run();
}

function content({ seq: _seq, hash: _hash, ...event }: AuditRow): AuditEvent {
  return event;
}

/** Records events of four devices and operators, each a millisecond after the one before. */
async function record(store: Store, count: number, random: Random): Promise<AuditRow[]> {
  const after = (await store.checkAudit()).head.seq;
  const events = Array.from({ length: count }, (_, i): AuditEvent => ({
    ...joined("device", `d${random.below(4)}`, NOW + after + i),
    ...(random.below(2) && { operator: `o${random.below(4)}` }),
    by: random.pick([`operator:o${random.below(4)}`, `device:d${random.below(4)}`, "local:root"]),
  }));
  await store.record(events);
  const rows = await store.audit({ after, limit: count });
  assert.equal(rows.map(content), events);
  return rows;
}
