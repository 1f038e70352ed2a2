/** The contract of `core/store.ts`, run against every store; `invites_test.ts` has its invitations. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MAX_PAGE } from "../core/store.ts";
import { failure } from "../tests/failure.ts";
import { newSeed, Random } from "../tests/random.ts";
import { author, join, joined, member, NOW, redeem, seen, STORES } from "../tests/store_fixture.ts";

for (const [name, open] of STORES) {
  const test = suite(`store: ${name}`);
  const random = new Random(newSeed());

  test("a member is who joined last, and the history keeps the others", async () => {
    await using store = await open();
    assert.is(await store.member("device", "pi-7"), undefined);
    assert.equal(await store.memberHistory("device", "pi-7"), []);
    const first = member("c1", { keyThumbprint: "k1" });
    // The second is recorded by a clock that was set back.
    const second = member("c2", { keyThumbprint: "k2", at: NOW - 1 });
    await join(store, first);
    await join(store, second);
    await join(store, member("c3", { name: "other" }));
    await join(store, member("c4", { role: "operator" }));
    assert.equal(await store.member("device", "pi-7"), second);
    assert.equal(await store.memberHistory("device", "pi-7"), [second, first]);
    assert.is((await store.member("operator", "pi-7"))?.credentialId, "c4");
  });

  test("one credential is recorded once", async () => {
    await using store = await open();
    await join(store, member("c1"));
    const error = await failure(() => join(store, member("c1", { name: "other" })));
    assert.is(error.code, "usage");
    assert.is(await store.isKnownDevice("other"), false);
    assert.is((await store.audit({ limit: 9 })).length, 1);
  });

  test("a credential is not recorded without its event", async () => {
    await using store = await open();
    const event = { ...joined("device", "pi-7"), at: 0.5 };
    assert.is((await failure(() => store.recordMember(member("c1"), event))).code, "usage");
    assert.is(await store.member("device", "pi-7"), undefined);
    assert.equal((await store.policy()).standings, []);
  });

  test("a device is known by joining or by being seen, an operator is no device", async () => {
    await using store = await open();
    await join(store, member("c1", { name: "joined" }));
    await join(store, member("c2", { name: "night", role: "operator" }));
    await store.devicesSeen([["seen", seen(NOW + 5)]]);
    for (const [name, known] of [["joined", true], ["seen", true], ["night", false]] as const) {
      assert.is(await store.isKnownDevice(name), known);
      assert.is(await store.device(name) !== undefined, known);
    }
    assert.equal(await store.device("joined"), { name: "joined", since: NOW });
    assert.equal(await store.device("seen"), {
      ...{ name: "seen", since: NOW + 5, lastSeen: seen(NOW + 5) },
    });
  });

  test("the latest sign of life counts, whichever comes in last", async () => {
    await using store = await open();
    await join(store, member("c1"));
    await store.devicesSeen([["pi-7", seen(NOW + 2, "2001:db8::2")]]);
    await store.devicesSeen([["pi-7", seen(NOW + 1, "192.0.2.9")]]);
    assert.equal((await store.device("pi-7"))?.lastSeen, seen(NOW + 2, "2001:db8::2"));
    await store.devicesSeen([["pi-7", seen(NOW + 3)]]);
    assert.equal((await store.device("pi-7"))?.lastSeen, seen(NOW + 3));
    assert.is((await store.device("pi-7"))?.since, NOW);
  });

  test("devices come in pages, by name, each once", async () => {
    await using store = await open();
    const names = new Set<string>();
    const alphabet = "abz09._-";
    while (names.size < 60) {
      names.add(`a${Array.from({ length: 5 }, () => alphabet[random.below(8)]).join("")}`);
    }
    for (const name of names) await store.devicesSeen([[name, seen(NOW)]]);
    const found: string[] = [];
    for (;;) {
      const page = await store.devices({ after: found.at(-1), limit: 7 });
      assert.ok(page.length <= 7);
      if (page.length === 0) break;
      found.push(...page.map(({ name }) => name));
    }
    assert.equal(found, [...names].sort());
  });

  for (const limit of [0, -1, 1.5, NaN, MAX_PAGE + 1]) {
    test(`a page of ${limit} is refused`, async () => {
      await using store = await open();
      assert.is((await failure(() => store.devices({ limit }))).code, "usage");
    });
  }

  test("what was given out is not the store's own", async () => {
    await using store = await open();
    await store.devicesSeen([["a", seen(NOW)]]);
    const record = (await store.device("a"))!;
    record.name = "b";
    record.lastSeen!.at = 0;
    assert.is((await store.device("a"))?.lastSeen?.at, NOW);
  });

  test("text that means something to SQL is text", async () => {
    await using store = await open();
    const name = "'; DROP TABLE audit; --";
    await store.devicesSeen([[name, seen(NOW)]]);
    assert.is((await store.device(name))?.name, name);
    await store.record([{ ...joined("device", name), why: name }]);
    assert.is((await store.audit({ device: "' OR '1'='1", limit: 9 })).length, 0);
    assert.equal((await store.audit({ device: name, limit: 9 })).map(({ why }) => why), [name]);
    await failure(() => store.redeemInvite("' OR '1'='1", NOW));
  });

  test("a closed store says so, and closing it again is no error", async () => {
    const store = await open();
    await store.close();
    await store.close();
    const uses = [
      () => redeem(store, "h"),
      () => store.apply({ type: "revoke-grant", id: "abcdefgh" }, author()),
      () => store.policyVersion(),
      () => store.record([]),
      () => store.checkAudit(),
      () => store.pruneAudit(NOW, author()),
    ];
    for (const use of uses) assert.is((await failure(use)).code, "closed");
  });

  test.run();
}
