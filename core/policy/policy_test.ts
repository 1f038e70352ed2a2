import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import type { PolicySnapshot, Standing } from "../store.ts";
import type { Grant } from "./grant.ts";
import { Policy } from "./policy.ts";

const test = suite("policy");
const NOW = Date.UTC(2026, 0, 1);
const dial = { operator: "anna", device: "line3-press", target: { port: 22 } };

const decisions: [string, Partial<Grant>[], number | undefined][] = [
  ["no grant at all", [], undefined],
  ["another operator's grant", [{ operator: "bob", scope: "*:*" }], undefined],
  ["a grant for another device", [{ scope: "line4-*:22" }], undefined],
  ["a grant for another port", [{ scope: "line3-*:23" }], undefined],
  ["a grant for a host beside the device", [{ scope: "line3-*:10.0.0.5:22" }], undefined],
  ["a grant that has ended", [{ scope: "line3-*:22", until: NOW }], undefined],
  ["a grant", [{ scope: "line3-*:22" }], Infinity],
  ["a grant that ends", [{ scope: "line3-*:22", until: NOW + 1 }], NOW + 1],
  ["two grants, of which the later end counts", [
    { scope: "line3-*:22", until: NOW + 5 },
    { scope: "*:*", until: NOW + 9 },
    { scope: "*:22", until: NOW + 7 },
  ], NOW + 9],
  ["one that ends and one that does not", [
    { scope: "line3-*:22", until: NOW + 5 },
    { scope: "*:*" },
  ], Infinity],
];
for (const [what, grants, until] of decisions) {
  test(`${what}: ${until === undefined ? "refused" : "allowed"}`, async () => {
    const policy = new Policy(snapshot({ grants: grants.map(grant) }));
    if (until !== undefined) return assert.is(policy.authorise(dial, NOW), until);
    const error = await failure(() => policy.authorise(dial, NOW));
    assert.is(error.code, "refused");
    assert.match(error.message, "tunnel grant anna 'line3-press:22'");
  });
}

test("a credential counts no more from the second on in which it was revoked", async () => {
  const policy = new Policy(snapshot({ standings: [standing({ revokedAt: NOW + 500 })] }));
  const holder = (issuedAt: number) => ({ role: "operator", name: "anna", issuedAt } as const);
  for (const issuedAt of [0, NOW - 1_000, NOW, NOW + 999]) {
    const error = await failure(() => policy.checkHolder(holder(issuedAt)));
    assert.is(error.code, "refused");
    assert.match(error.message, /operator anna was revoked at 2026-01-01/);
  }
  policy.checkHolder(holder(NOW + 1_000));
  policy.checkHolder({ ...holder(0), role: "device" });
  policy.checkHolder({ ...holder(0), name: "bob" });
});

test("whoever is invited again in the second of a revocation gets a credential that counts", () => {
  const policy = new Policy(snapshot({ standings: [standing({ revokedAt: NOW + 500 })] }));
  const holder = { role: "operator", name: "anna" } as const;
  const issuedAt = policy.issuingTime(holder, NOW + 600);
  assert.is(issuedAt, NOW + 1_000);
  policy.checkHolder({ ...holder, issuedAt });
  assert.is(policy.issuingTime(holder, NOW + 7_000), NOW + 7_000);
  assert.is(policy.issuingTime({ ...holder, name: "bob" }, NOW), NOW);
  // Revoked while the join was under way.
  assert.is(policy.issuingTime(holder, NOW + 400), NOW + 400);
});

test("rights are the standing's, and nobody else has any", () => {
  const policy = new Policy(snapshot({ standings: [standing({ admin: true })] }));
  assert.equal(policy.rights("anna"), { admin: true, approver: false });
  assert.equal(policy.rights("bob"), { admin: false, approver: false });
});

test("before the store was read nothing is allowed", async () => {
  assert.is((await failure(() => Policy.NOTHING.authorise(dial, NOW))).code, "refused");
});

test.run();

function snapshot(parts: Partial<PolicySnapshot>): PolicySnapshot {
  return { version: 1, grants: [], standings: [], ...parts };
}

function grant(changed: Partial<Grant>, index: number): Grant {
  const id = `aaaaaaa${"abcdef"[index]}`;
  return { id, operator: "anna", scope: "*:*", at: NOW - 1, by: "local:root", ...changed };
}

function standing(changed: Partial<Standing>): Standing {
  const known = { role: "operator", name: "anna", since: 0 } as const;
  return { ...known, admin: false, approver: false, ...changed };
}
