/** The contract of `core/store.ts` on invitations, run against every store. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { INVITE_KEPT } from "../core/store.ts";
import { failure } from "../tests/failure.ts";
import { HOUR, invite, NOW, redeem, refused, STORES } from "../tests/store_fixture.ts";

for (const [name, open] of STORES) {
  const test = suite(`invitations: ${name}`);

  test("an invitation is redeemed for its role and name", async () => {
    await using store = await open();
    await invite(store, "h1");
    await invite(store, "h2", { role: "operator", name: "night" });
    assert.equal(await redeem(store, "h2", NOW), { role: "operator", name: "night" });
    assert.equal(await redeem(store, "h1", NOW), { role: "device", name: "pi-7" });
  });

  test("an invitation works as often as it says", async () => {
    await using store = await open();
    await invite(store, "h", { uses: 3 });
    for (let use = 0; use < 3; use++) await redeem(store, "h", NOW);
    await refused(store, "h", NOW, "used up");
  });

  test("of twenty who redeem the last use at once, one gets it", async () => {
    await using store = await open();
    await invite(store, "h");
    const tries = Array.from({ length: 20 }, () => redeem(store, "h", NOW));
    const results = await Promise.allSettled(tries);
    assert.is(results.filter(({ status }) => status === "fulfilled").length, 1);
  });

  test("unknown, expired and used up are told apart, each with what to do", async () => {
    await using store = await open();
    await invite(store, "h");
    await refused(store, "H", NOW, "does not know");
    await refused(store, "", NOW, "does not know");
    await refused(store, "h", NOW + HOUR, "expired at 2026-01-01T01:00:00.000Z");
    await redeem(store, "h", NOW + HOUR - 1);
    await refused(store, "h", NOW, "used up");
    await refused(store, "h", NOW + HOUR, "used up");
  });

  test("being refused uses nothing up", async () => {
    await using store = await open();
    await invite(store, "h");
    await refused(store, "h", NOW + HOUR, "expired");
    await redeem(store, "h", NOW);
  });

  test("the hash of one invitation cannot be another's", async () => {
    await using store = await open();
    await invite(store, "h");
    const error = await failure(() => invite(store, "h", { name: "other", uses: 9 }));
    assert.is(error.code, "usage");
    assert.equal(await redeem(store, "h", NOW), { role: "device", name: "pi-7" });
    await refused(store, "h", NOW, "used up");
  });

  for (
    const changed of [
      ...[{ uses: 0 }, { uses: -1 }, { uses: 1.5 }, { uses: NaN }, { uses: 1_001 }],
      ...[{ expiresAt: NOW }, { expiresAt: NaN }, { expiresAt: Infinity }, { at: NOW + 0.5 }],
      ...[{ name: "a/b" }, { secretHash: "h" }, { validity: 999 }, { rights: { admin: true } }],
      ...[{ grants: [{ scope: "*:*" }] }, { role: "authority" as "device" }],
      { role: "operator" as const, grants: [{ scope: "*:*", until: NOW }] },
    ]
  ) {
    test(`no invitation is made with ${Deno.inspect(changed)}`, async () => {
      await using store = await open();
      assert.is((await failure(() => invite(store, "h", changed))).code, "usage");
      await refused(store, "h", NOW, "does not know");
      assert.equal((await store.policy()).standings, []);
      assert.equal(await store.audit({ limit: 9 }), []);
    });
  }

  test("an invitation tells how long its credentials are to be valid", async () => {
    await using store = await open();
    await invite(store, "h", { validity: HOUR });
    assert.equal(await redeem(store, "h"), { role: "device", name: "pi-7", validity: HOUR });
  });

  test("an invitation is forgotten long after it expired, and only then", async () => {
    await using store = await open();
    await invite(store, "old");
    const at = NOW + HOUR + INVITE_KEPT;
    await invite(store, "b", { at, expiresAt: at + HOUR });
    await refused(store, "old", at, "expired");
    await invite(store, "c", { at: at + 1, expiresAt: at + HOUR });
    await refused(store, "old", at, "does not know");
    await redeem(store, "b", at);
  });

  test.run();
}
