import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failureOf } from "../../tests/failure.ts";
import { type Fleet, type Member, startFleet } from "../../tests/fleet.ts";
import { renewalOf, type RenewRequest, requestOf } from "../../tests/renewals.ts";
import { unverified } from "../identity/credential.ts";
import { newNonce } from "../identity/proof.ts";
import type { Link } from "../link.ts";
import { asJwks } from "../member/identity.ts";
import { generateMemberKeys, publicKeysOf } from "../membership.ts";

const test = suite("relay: renewals");
const HOUR = 3_600_000;

test("an operator is not renewed, but gets new keys until the same end", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("operator", "o", { ttl: HOUR });
  const renewal = renewalOf(fleet, member, await fleet.signIn(member.identity));
  const before = member.identity.state;
  const error = await failureOf(renewal.renew());
  assert.is(error.code, "refused");
  assert.match(error.message, /operator o is not renewed; ask for a new join string/);
  assert.is(member.identity.state, before);
  const rotated = await renewal.rotate();
  assert.is(rotated.expiresAt, unverified(before.credential).expiresAt);
  assert.is.not(asJwks(member.identity.state).privateKey.d, asJwks(before).privateKey.d);
  assert.ok(await (await fleet.signIn(member.identity)).ping() >= 0);
});

test("a relay may renew operators, for as long as it says", async () => {
  const validity = { operator: 2 * HOUR };
  await using fleet = await startFleet({ mayRenew: ({ name }) => name === "o", validity });
  const member = await fleet.member("operator", "o", { ttl: 60_000 });
  const renewal = renewalOf(fleet, member, await fleet.signIn(member.identity));
  const { issuedAt, expiresAt } = await renewal.renew();
  assert.is(expiresAt - issuedAt, 2 * HOUR);
  const device = await fleet.member("device", "x");
  const refused = renewalOf(fleet, device, await fleet.device("x", { member: device })).renew();
  assert.match((await failureOf(refused)).message, /device x is not renewed/);
});

test("a revoked member gets neither a longer life nor new keys", async () => {
  const revoked = new Set<string>();
  await using fleet = await startFleet({ isRevoked: ({ name }) => revoked.has(name) });
  const member = await fleet.member("device", "x");
  const renewal = renewalOf(fleet, member, await fleet.device("x", { member }));
  revoked.add("x");
  for (const work of [renewal.renew(), renewal.rotate()]) {
    const error = await failureOf(work);
    assert.is(error.code, "refused");
    assert.match(error.message, /device x has been revoked/);
  }
  assert.equal(await fleet.store.memberHistory("device", "x"), []);
});

test("a relay without the private key says where a credential is to be had", async () => {
  await using fleet = await startFleet({ authority: undefined });
  const member = await fleet.member("device", "x");
  const device = await fleet.device("x", { member });
  const error = await failureOf(renewalOf(fleet, member, device).renew());
  assert.is(error.code, "refused");
  assert.match(
    error.message,
    /public key alone.*`tunnel request device x`.*`tunnel authority sign`/,
  );
});

const cheats: [string, RegExp, (cheat: Cheat) => Promise<RenewRequest>][] = [
  ["without a nonce", /no nonce was asked for/, ({ prove }) => prove(newNonce(), false)],
  ["with a nonce of its own", /another session's nonce/, async ({ link, prove }) => {
    await link.nonce();
    return await prove(newNonce());
  }],
  ["with a nonce that has a newer one", /another session's nonce/, async ({ link, prove }) => {
    const nonce = await link.nonce();
    await link.nonce();
    return await prove(nonce);
  }],
  ["with a nonce for the second time", /no nonce was asked for/, async ({ link, prove }) => {
    const request = await prove(await link.nonce());
    await link.renew(request);
    return request;
  }],
  [
    "of another device's credential",
    /credential is of device y/,
    async ({ fleet, link, prove }) =>
      prove(await link.nonce(), true, await fleet.member("device", "y")),
  ],
  ["of another fleet's credential", /another fleet/, async ({ link, prove }) => {
    await using other = await startFleet();
    return await prove(await link.nonce(), true, await other.member("device", "x"));
  }],
  ["of a credential that has ended", /expired at/, async ({ fleet, link, prove }) => {
    const times = { ttl: HOUR, now: Date.now() - HOUR - 2_000 };
    return await prove(await link.nonce(), true, await fleet.member("device", "x", times));
  }],
  ["with a proof by the new key alone", /another key/, async ({ link, prove }) => {
    const request = await prove(await link.nonce());
    return { ...request, proof: request.rotate!.proof };
  }],
  ["with a proof by the old key alone", /another key/, async ({ link, prove }) => {
    const request = await prove(await link.nonce());
    return { ...request, rotate: { ...request.rotate!, proof: request.proof } };
  }],
  ["for other keys than were proven", /another credential/, async ({ link, prove }) => {
    const request = await prove(await link.nonce());
    const { agreement } = await publicKeysOf(await generateMemberKeys());
    return { ...request, rotate: { ...request.rotate!, agreement } };
  }],
];
for (const [what, expected, cheat] of cheats) {
  test(`a renewal ${what} is refused`, async () => {
    await using fleet = await startFleet();
    const member = await fleet.member("device", "x");
    const link = await fleet.device("x", { member });
    const prove: Cheat["prove"] = (nonce, rotating = true, shown = member) =>
      requestOf(fleet, shown.identity.state, nonce, rotating);
    const request = await cheat({ fleet, link, prove });
    const error = await failureOf(link.renew(request));
    assert.is(error.code, "refused");
    assert.match(error.message, expected);
    assert.ok(await link.ping() >= 0);
  });
}

test.run();

interface Cheat {
  readonly fleet: Fleet;
  readonly link: Link;
  /** A renewal that is in order for that nonce. */
  readonly prove: (nonce: string, rotating?: boolean, shown?: Member) => Promise<RenewRequest>;
}
