/** The contract of `core/store.ts` on who may reach what, run against every store. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Store } from "../core/store.ts";
import { failure } from "../tests/failure.ts";
import {
  author,
  HOUR,
  invite,
  join,
  member,
  NOW,
  redeem,
  refused,
  seen,
  STORES,
} from "../tests/store_fixture.ts";

const night = { role: "operator", name: "night" } as const;
const asked = { admin: false, approver: false };

for (const [name, open] of STORES) {
  const test = suite(`policy: ${name}`);

  test("an empty store has nobody and nothing", async () => {
    await using store = await open();
    const { version, ...policy } = await store.policy();
    assert.equal(policy, { grants: [], standings: [] });
    assert.is(await store.policyVersion(), version);
  });

  test("an invitation gives an operator its standing, rights and grants before it joins", async () => {
    await using store = await open();
    const grants = [{ scope: "x:22", until: NOW + HOUR }, { scope: "a*:*" }];
    const made = await invite(store, "h", { ...night, rights: { admin: true }, grants });
    const policy = await store.policy();
    assert.equal(policy.standings, [{ ...night, since: NOW, admin: true, approver: false }]);
    const common = { operator: "night", at: NOW, by: "operator:anna" };
    const [first, second] = made;
    assert.equal(made, [
      { id: first!.id, ...common, scope: "x:22", until: NOW + HOUR },
      { id: second!.id, ...common, scope: "a*:*" },
    ]);
    assert.equal(policy.grants, [second, first], "by operator and scope");
  });

  test("a second invitation adds grants and keeps the rest", async () => {
    await using store = await open();
    const [first] = await invite(store, "h1", {
      ...{ ...night, rights: { approver: true } },
      grants: [{ scope: "x:22" }],
    });
    await invite(store, "h2", { ...night, at: NOW + 1, grants: [{ scope: "y:22" }] });
    const { grants, standings } = await store.policy();
    assert.equal(grants.map(({ scope }) => scope), ["x:22", "y:22"]);
    assert.equal(grants[0], first);
    assert.equal(standings, [{ ...night, since: NOW, admin: false, approver: true }]);
  });

  test("a grant is given, renewed and revoked", async () => {
    await using store = await open();
    await invite(store, "h", night);
    const change = { type: "grant", operator: "night", scope: "x:22" } as const;
    const [given] = await store.apply({ ...change, until: NOW + 9 }, author());
    const renewing = { ...author(NOW + 1), by: "local:root" };
    const [renewed] = await store.apply(change, renewing);
    assert.equal(renewed, {
      ...{ id: given!.id, operator: "night", scope: "x:22", at: NOW + 1, by: "local:root" },
    });
    assert.equal((await store.policy()).grants, [renewed]);
    assert.equal(await store.apply({ type: "revoke-grant", id: given!.id }, author()), []);
    assert.equal((await store.policy()).grants, []);
  });

  test("one operator's grant is not another's, whatever the scope", async () => {
    await using store = await open();
    const grants = [{ scope: "x:22" }];
    const [one] = await invite(store, "h1", { ...night, grants });
    const [two] = await invite(store, "h2", { ...night, name: "day", grants });
    assert.is.not(one!.id, two!.id);
    await store.apply({ type: "revoke-grant", id: one!.id }, author());
    assert.equal((await store.policy()).grants, [two]);
  });

  test("a grant that has ended is there until the next change, and cannot be revoked", async () => {
    await using store = await open();
    const [ended] = await invite(store, "h", {
      ...night,
      grants: [{ scope: "x:22", until: NOW + 1 }],
    });
    assert.equal((await store.policy()).grants, [ended]);
    const revoke = () => store.apply({ type: "revoke-grant", id: ended!.id }, author(NOW + 1));
    assert.match((await failure(revoke)).message, "tunnel grants");
    assert.equal((await store.policy()).grants, [ended], "a change that fails forgets nothing");
    await store.apply({ type: "rights", operator: "night", rights: {} }, author(NOW + 1));
    assert.equal((await store.policy()).grants, []);
  });

  test("a scope whose grant has ended can be granted again", async () => {
    await using store = await open();
    const grants = [{ scope: "x:22", until: NOW + 1 }];
    const [ended] = await invite(store, "h", { ...night, grants });
    const change = { type: "grant", operator: "night", scope: "x:22" } as const;
    const [again] = await store.apply(change, author(NOW + 1));
    assert.is.not(again!.id, ended!.id);
    assert.equal((await store.policy()).grants, [again]);
  });

  test("rights are set as a whole", async () => {
    await using store = await open();
    await invite(store, "h", { ...night, rights: { admin: true } });
    const rights = { approver: true };
    await store.apply({ type: "rights", operator: "night", rights }, author());
    const { standings } = await store.policy();
    assert.equal(standings, [{ ...night, since: NOW, admin: false, approver: true }]);
  });

  test("revoking an operator ends all that it had, and nothing of others", async () => {
    await using store = await open();
    await invite(store, "h1", { ...night, rights: { admin: true }, grants: [{ scope: "*:*" }] });
    await invite(store, "h2", night);
    await invite(store, "h3", { name: "night" });
    const [other] = await invite(store, "h4", {
      ...{ ...night, name: "nightly", grants: [{ scope: "x:22" }] },
    });
    await store.apply({ type: "revoke-member", ...night }, author(NOW + 1));
    for (const label of ["h1", "h2"]) await refused(store, label, NOW, "does not know");
    await redeem(store, "h3");
    await redeem(store, "h4");
    const { grants, standings } = await store.policy();
    assert.equal(grants, [other]);
    assert.equal(standings, [
      { role: "device", name: "night", since: NOW, ...asked },
      { ...night, since: NOW, ...asked, revokedAt: NOW + 1 },
      { role: "operator", name: "nightly", since: NOW, ...asked },
    ]);
  });

  test("a revoked name is invited again, and stays revoked for what it had before", async () => {
    await using store = await open();
    await invite(store, "h1", { ...night, grants: [{ scope: "*:*" }] });
    await join(store, member("c1", night));
    await store.apply({ type: "revoke-member", ...night }, author(NOW + 1));
    await invite(store, "h2", { ...night, at: NOW + 2, grants: [{ scope: "x:22" }] });
    assert.equal(await redeem(store, "h2", NOW + 3), night);
    await join(store, member("c2", { ...night, at: NOW + 3 }));
    const { grants, standings } = await store.policy();
    assert.equal(grants.map(({ scope }) => scope), ["x:22"]);
    assert.equal(standings, [{ ...night, since: NOW, ...asked, revokedAt: NOW + 1 }]);
  });

  test("who joins or is seen has a standing, since the first time", async () => {
    await using store = await open();
    await join(store, member("c1", { ...night, at: NOW + 1 }));
    await store.devicesSeen([["x", seen(NOW + 2)]]);
    await store.devicesSeen([["x", seen(NOW + 3)]]);
    await join(store, member("c2", { name: "y", at: NOW + 4 }));
    assert.equal((await store.policy()).standings, [
      { role: "device", name: "x", since: NOW + 2, ...asked },
      { role: "device", name: "y", since: NOW + 4, ...asked },
      { ...night, since: NOW + 1, ...asked },
    ]);
    await store.apply({ type: "revoke-member", role: "device", name: "x" }, author(NOW + 5));
    await store.devicesSeen([["x", seen(NOW + 6)]]);
    assert.is((await store.policy()).standings[0]!.revokedAt, NOW + 5);
  });

  const changes: [what: string, changes: boolean, change: (store: Store) => Promise<unknown>][] = [
    ["an invitation", true, (store) => invite(store, "more")],
    [
      "a grant",
      true,
      (store) => store.apply({ type: "grant", operator: "night", scope: "y:1" }, author()),
    ],
    [
      "rights",
      true,
      (store) => store.apply({ type: "rights", operator: "night", rights: {} }, author()),
    ],
    [
      "the end of a grant",
      true,
      async (store) => {
        const [grant] = (await store.policy()).grants;
        await store.apply({ type: "revoke-grant", id: grant!.id }, author());
      },
    ],
    [
      "the end of a member",
      true,
      (store) => store.apply({ type: "revoke-member", ...night }, author()),
    ],
    ["a device that is new", true, (store) => store.devicesSeen([["new", seen(NOW)]])],
    ["a member that is new", true, (store) => join(store, member("c2", { name: "new" }))],
    ["a device that is known", false, (store) => store.devicesSeen([["pi-7", seen(NOW)]])],
    ["a member that joins again", false, (store) => join(store, member("c2"))],
    ["a use of an invitation", false, (store) => redeem(store, "h")],
    ["an event", false, (store) => store.record([{ at: NOW, type: "dial" }])],
    [
      "a change that fails",
      false,
      (store) => failure(() => store.apply({ type: "revoke-grant", id: "aaaaaaaa" }, author())),
    ],
  ];
  for (const [what, isOther, change] of changes) {
    test(`${what} ${isOther ? "makes" : "does not make"} the version another one`, async () => {
      await using store = await open();
      await invite(store, "h", { ...night, grants: [{ scope: "x:22" }] });
      await join(store, member("c1"));
      const before = await store.policyVersion();
      await change(store);
      const after = await store.policyVersion();
      assert.is(after !== before, isOther);
      assert.is((await store.policy()).version, after);
    });
  }

  test("what a change returns and what the policy gives out are not the store's own", async () => {
    await using store = await open();
    const [made] = await invite(store, "h", { ...night, grants: [{ scope: "x:22" }] });
    Object.assign(made!, { scope: "*:*" });
    const policy = await store.policy();
    assert.is(policy.grants[0]!.scope, "x:22");
    Object.assign(policy.standings[0]!, { admin: true });
    assert.is((await store.policy()).standings[0]!.admin, false);
  });

  test("a change that fails leaves nothing: no standing, grant, invitation or row", async () => {
    await using store = await open();
    await invite(store, "h");
    const before = [await store.policy(), await store.audit({ limit: 9 })];
    // The hash is taken; all else of it would do.
    await failure(() => invite(store, "h", { ...night, grants: [{ scope: "x:22" }] }));
    assert.equal([await store.policy(), await store.audit({ limit: 9 })], before);
  });

  test.run();
}
