import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { author, HOUR, invitation, NOW } from "../../tests/store_fixture.ts";
import type { Standing } from "../store.ts";
import { type Before, decide, subjectOf } from "./decide.ts";
import type { Grant } from "./grant.ts";

const NOTHING: Before = { grants: [] };
const standing: Standing = {
  ...{ role: "operator", name: "night", since: NOW - HOUR, admin: true, approver: false },
};
const given: Grant = {
  ...{ id: "abcdefgh", operator: "night", scope: "x:22", at: NOW - HOUR, by: "local:root" },
};
const invite = invitation("h", { role: "operator", name: "night" });

const test = suite("decide");

test("an invitation makes the standing of a new name", () => {
  const outcome = decide(invite, author(), NOTHING);
  const fresh = { ...standing, since: NOW, admin: false };
  assert.equal(outcome.standing, fresh);
  const { secretHash, expiresAt } = invite;
  assert.equal({ ...outcome.invite }, {
    ...{ role: "operator", name: "night", secretHash, expiresAt, uses: 1, at: NOW },
    validity: undefined,
  });
});

test("an invitation keeps the standing of a known name, its revocation included", () => {
  const known = { ...standing, revokedAt: NOW - 5 };
  const outcome = decide(invite, author(), { standing: known, grants: [given] });
  assert.equal(outcome.standing, known);
  assert.equal([outcome.grants, outcome.ended], [[], []]);
});

test("rights replace those that there were, and one left out is not given", () => {
  const rights = { approver: true };
  for (
    const change of [{ ...invite, rights }, { type: "rights" as const, operator: "night", rights }]
  ) {
    const outcome = decide(change, author(), { standing, grants: [] });
    assert.equal(outcome.standing, { ...standing, admin: false, approver: true });
    assert.is(outcome.events.at(-1)!.detail, "approver");
  }
});

test("a grant for a scope that the operator has is renewed: its ID stays, its end does not", () => {
  const before = { standing, grants: [{ ...given, until: NOW + 1 }] };
  const change = { type: "grant", operator: "night", scope: "x:22" } as const;
  const renewed = { ...given, at: NOW, by: "operator:anna" };
  assert.equal(decide(change, author(), before).grants, [renewed]);
  const until = NOW + HOUR;
  assert.equal(decide({ ...change, until }, author(), before).grants, [{ ...renewed, until }]);
});

test("a grant, and rights, for a name that is new make its standing", () => {
  const fresh = { ...standing, since: NOW, admin: false };
  const given = decide({ type: "grant", operator: "night", scope: "x:22" }, author(), NOTHING);
  assert.equal(given.standing, fresh);
  const rights = { type: "rights", operator: "night", rights: { admin: true } } as const;
  assert.equal(decide(rights, author(), NOTHING).standing, { ...fresh, admin: true });
});

test("a grant leaves a known name's standing as it is, its revocation included", () => {
  const known = { ...standing, revokedAt: NOW - 5 };
  const change = { type: "grant", operator: "night", scope: "x:22" } as const;
  assert.equal(decide(change, author(), { standing: known, grants: [] }).standing, known);
});

test("a grant that has ended is not renewed but given anew", () => {
  const before = { standing, grants: [{ ...given, until: NOW }] };
  const [grant] = decide(
    { type: "grant", operator: "night", scope: "x:22" },
    author(),
    before,
  ).grants;
  assert.is.not(grant!.id, given.id);
});

test("of two grants for one scope in one invitation the last counts", () => {
  const grants = [{ scope: "x:22", until: NOW + 1 }, { scope: "y:22" }, { scope: "x:22" }];
  const outcome = decide({ ...invite, grants }, author(), NOTHING);
  assert.equal(outcome.grants.map(({ scope, until }) => [scope, until]), [
    ["x:22", undefined],
    ["y:22", undefined],
  ]);
});

test("IDs are 8 letters that people can type, and others every time", () => {
  const grants = Array.from({ length: 64 }, (_, i) => ({ scope: `x:${i + 1}` }));
  const ids = decide({ ...invite, grants }, author(), NOTHING).grants.map(({ id }) => id);
  assert.is(new Set(ids).size, 64);
  for (const id of ids) assert.match(id, /^[a-z2-7]{8}$/);
});

test("revoking a member ends its grants, rights and invitations, and keeps the later instant", () => {
  const change = { type: "revoke-member", role: "operator", name: "night" } as const;
  const outcome = decide(change, author(), { standing, grants: [given] });
  assert.equal(outcome.standing, { ...standing, admin: false, revokedAt: NOW });
  assert.equal(outcome.ended, [given.id]);
  assert.equal(outcome.uninvited, { role: "operator", name: "night" });
  const later = { ...standing, revokedAt: NOW + HOUR };
  const again = decide(change, author(), { standing: later, grants: [] });
  assert.is(again.standing!.revokedAt, NOW + HOUR);
});

const told: [what: string, run: () => ReturnType<typeof decide>, events: object[]][] = [
  ["an invitation", () => decide({ ...invite, uses: 3, validity: HOUR }, author(), NOTHING), [
    {
      ...{ type: "invite", operator: "night" },
      detail: "3 uses until 2026-01-01T01:00:00.000Z, credentials valid for 3600000 ms",
    },
  ]],
  ["a device's invitation", () => decide(invitation("h"), author(), NOTHING), [
    { type: "invite", device: "pi-7", detail: "1 use until 2026-01-01T01:00:00.000Z" },
  ]],
  [
    "an invitation with rights and a grant",
    () =>
      decide(
        { ...invite, rights: { admin: true, approver: true }, grants: [{ scope: "x:22" }] },
        author(),
        { standing, grants: [given] },
      ),
    [
      { type: "invite", operator: "night", detail: "1 use until 2026-01-01T01:00:00.000Z" },
      { type: "rights", operator: "night", detail: "admin, approver" },
      { type: "grant", operator: "night", detail: "abcdefgh x:22" },
    ],
  ],
  [
    "a grant with an end",
    () =>
      decide(
        { type: "grant", operator: "night", scope: "x:22", until: NOW + HOUR },
        author(),
        { standing, grants: [given] },
      ),
    [{
      ...{ type: "grant", operator: "night" },
      detail: "abcdefgh x:22 until 2026-01-01T01:00:00.000Z",
    }],
  ],
  [
    "rights taken away",
    () =>
      decide({ type: "rights", operator: "night", rights: {} }, author(), { standing, grants: [] }),
    [{ type: "rights", operator: "night", detail: "none" }],
  ],
  [
    "the end of a grant",
    () => decide({ type: "revoke-grant", id: given.id }, author(), { grants: [given] }),
    [{ type: "revoke", operator: "night", detail: "abcdefgh x:22" }],
  ],
  [
    "the end of a device",
    () =>
      decide({ type: "revoke-member", role: "device", name: "x" }, author(), {
        standing: { ...standing, role: "device", name: "x" },
        grants: [],
      }),
    [{ type: "revoke", device: "x", detail: "all that it had" }],
  ],
];
for (const [what, run, events] of told) {
  test(`the audit trail tells of ${what}: by whom, from where, never the hash`, () => {
    const outcome = run();
    const common = { at: NOW, by: "operator:anna", from: "192.0.2.7" };
    assert.equal(outcome.events, events.map((event) => ({ ...common, ...event })));
    assert.is(JSON.stringify(outcome.events).includes(invite.secretHash), false);
  });
}

test("a name that was never here is revoked where that is meant", () => {
  const change = { type: "revoke-member", role: "device", name: "x", unseen: true } as const;
  const { standing, events } = decide(change, author(), NOTHING);
  const fresh = { role: "device", name: "x", since: NOW, admin: false, approver: false };
  assert.equal(standing, { ...fresh, revokedAt: NOW });
  assert.equal(events.map(({ type, device }) => [type, device]), [["revoke", "x"]]);
});

const refused: [what: string, run: () => unknown, says: RegExp][] = [
  [
    "the end of nobody",
    () => decide({ type: "revoke-member", role: "device", name: "x" }, author(), NOTHING),
    /there is no device x; .*tunnel devices/,
  ],
  [
    "the end of no grant",
    () => decide({ type: "revoke-grant", id: "abcdefgh" }, author(), NOTHING),
    /there is no grant abcdefgh; .*tunnel grants/,
  ],
  [
    "the end of a grant that has ended",
    () =>
      decide({ type: "revoke-grant", id: given.id }, author(), {
        grants: [{ ...given, until: NOW }],
      }),
    /there is no grant abcdefgh/,
  ],
  [
    "a grant that ends before it is given",
    () =>
      decide({ type: "grant", operator: "night", scope: "x:22", until: NOW }, author(), {
        standing,
        grants: [],
      }),
    /would end before it is given/,
  ],
  [
    "a device with grants",
    () => decide(invitation("h", { grants: [{ scope: "x:22" }] }), author(), NOTHING),
    /a device has neither grants nor rights/,
  ],
  [
    "an author without a time",
    () => decide(invite, author(NaN), NOTHING),
    /NaN is no instant/,
  ],
];
for (const [what, run, says] of refused) {
  test(`${what} is refused`, async () => {
    const error = await failure(run);
    assert.is(error.code, "usage");
    assert.match(error.message, says);
  });
}

test("a change says whom it is about, but for the end of a grant", () => {
  assert.equal(subjectOf(invite), { role: "operator", name: "night" });
  assert.equal(subjectOf({ type: "rights", operator: "o", rights: {} }), {
    ...{ role: "operator", name: "o" },
  });
  assert.equal(subjectOf({ type: "revoke-member", role: "device", name: "x" }), {
    ...{ role: "device", name: "x" },
  });
  assert.is(subjectOf({ type: "revoke-grant", id: "abcdefgh" }), undefined);
});

test.run();
