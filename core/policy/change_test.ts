import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { MAX_DURATION } from "../names.ts";
import { checkInstant, MAX_GRANTS, MAX_USES, parseChange } from "./change.ts";

const HASH = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
const invite = {
  ...{ type: "invite", role: "operator", name: "night", secretHash: HASH },
  ...{ expiresAt: 1_000, uses: 1 },
};
const grant = { type: "grant", operator: "night", scope: "x:22" };

const test = suite("changes");

const good: [what: string, value: object][] = [
  ["an invitation", invite],
  ["an invitation with everything", {
    ...{ ...invite, uses: MAX_USES, validity: 1_000, rights: { admin: true, approver: false } },
    grants: [{ scope: "x:22", until: 9 }, { scope: "*:*" }],
  }],
  ["a device's invitation", { ...invite, role: "device" }],
  ["a grant", grant],
  ["a grant with an end", { ...grant, until: 8.64e15 }],
  ["rights", { type: "rights", operator: "night", rights: { approver: true } }],
  ["the end of a grant", { type: "revoke-grant", id: "abcdefg7" }],
  ["the end of a member", { type: "revoke-member", role: "device", name: "x" }],
];
for (const [what, value] of good) {
  test(`${what} is a change, in JSON too`, () => {
    assert.equal(parseChange(value), value);
    assert.equal(parseChange(JSON.parse(JSON.stringify(value))), value);
  });
}

const bad: [what: string, value: unknown, part: string][] = [
  ["nothing", undefined, "it"],
  ["a list", [], "type"],
  ["no type", {}, "type"],
  ["another type", { type: "prune" }, "type"],
  ["a role that is none", { ...invite, role: "admin" }, "role"],
  ["a name with a slash", { ...invite, name: "a/b" }, "name"],
  ["a secret for a hash", { ...invite, secretHash: `${HASH}A` }, "secretHash"],
  ["a second spelling of a hash", { ...invite, secretHash: `${HASH.slice(0, -1)}1` }, "secretHash"],
  ["no use", { ...invite, uses: 0 }, "uses"],
  ["too many uses", { ...invite, uses: MAX_USES + 1 }, "uses"],
  ["half a use", { ...invite, uses: 1.5 }, "uses"],
  ["an end before 1970", { ...invite, expiresAt: -1 }, "expiresAt"],
  ["an end that is no date", { ...invite, expiresAt: 8.64e15 + 1 }, "expiresAt"],
  ["an end in words", { ...invite, expiresAt: "2026" }, "expiresAt"],
  ["credentials for no time", { ...invite, validity: 0 }, "validity"],
  ["credentials for ever", { ...invite, validity: MAX_DURATION + 1 }, "validity"],
  ["a right in words", { ...invite, rights: { admin: "yes" } }, "rights.admin"],
  ["a scope of its own spelling", { ...grant, scope: "x:localhost:22" }, "scope"],
  ["a scope that is none", { ...invite, grants: [{ scope: "x" }] }, "grants.0.scope"],
  ["a scope beyond all size", { ...grant, scope: `x:${"a".repeat(2_000)}:1` }, "scope"],
  [
    "more grants than fit",
    { ...invite, grants: Array.from({ length: MAX_GRANTS + 1 }, () => ({ scope: "x:22" })) },
    "grants",
  ],
  ["an operator that is none", { ...grant, operator: "Night" }, "operator"],
  ["an ID that is too short", { type: "revoke-grant", id: "abcdefg" }, "id"],
  ["an ID of other letters", { type: "revoke-grant", id: "abcdefg1" }, "id"],
];
for (const [what, value, part] of bad) {
  test(`${what} is refused, and what it holds is not shown`, async () => {
    const error = await failure(() => parseChange(value));
    assert.is(error.code, "usage");
    assert.match(error.message, `: ${part} is missing, malformed or out of range`);
    assert.is(Deno.inspect(error).includes(HASH.slice(0, 20)), false);
  });
}

test("what a change does not know is dropped", () => {
  assert.equal(parseChange({ ...grant, admin: true }), grant);
});

for (const at of [0.5, -1, NaN, Infinity, 8.64e15 + 1]) {
  test(`${at} is no instant`, async () => {
    assert.is((await failure(() => checkInstant("test", at))).code, "usage");
  });
}

test.run();
