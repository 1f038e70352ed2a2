import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { type Fleet, type Member, startFleet } from "../tests/fleet.ts";
import { TunnelError } from "./errors.ts";
import { audienceOf, makeProof, newNonce, renewalSubject } from "./identity/proof.ts";
import { importPrivateKey } from "./identity/keys.ts";
import { type Principal, unverified, Verifier } from "./identity/credential.ts";
import type { Link } from "./link.ts";
import { type LogFields, SILENT } from "./log.ts";
import { generateMemberKeys, type MemberState, publicKeysOf } from "./membership.ts";
import { Renewal, type RenewalOptions } from "./renewal.ts";

const test = suite("renewals");
const HOUR = 3_600_000;
/** Channels that end with their fleet. */
const once = { resumeWindow: 0 };

test("a renewed device stays signed in beyond its first credential, with its channels", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("device", "x", { ttl: 3_000 });
  const { issuedAt, expiresAt } = unverified(member.identity.credential);
  const device = await fleet.device("x", { member });
  const operator = await fleet.operator();
  const channel = await fleet.dial(operator, "x", { port: 7 });
  // Another device with the same end is the clock of this test.
  const times = { now: issuedAt, ttl: expiresAt - issuedAt };
  const other = await fleet.device("y", { member: await fleet.member("device", "y", times) });
  const kept: MemberState[] = [];
  const keep = (next: MemberState) => (kept.push(next), Promise.resolve());
  const renewed = await renewalOf(fleet, member, device, { keep }).renew();
  assert.equal(kept, [member.identity.state]);
  assert.ok(renewed.expiresAt > Date.now() + 29 * 24 * HOUR);
  assert.is((await operator.peer("x")).credential, member.identity.credential);
  await bounded("the other's end", failureOf(other.closed));
  assert.ok(await device.ping() >= 0);
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await channel.read())!], [1]);
  assert.ok(await (await fleet.signIn(member.identity, "process-2")).ping() >= 0);
});

test("all sessions of the process go on, also one that signed in before", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("device", "x", { ttl: 3_000 });
  const old = await fleet.device("x", { member, instance: "process-1" });
  const device = await fleet.device("x", { member, instance: "process-1" });
  const { issuedAt, expiresAt } = unverified(member.identity.credential);
  const times = { now: issuedAt, ttl: expiresAt - issuedAt };
  const other = await fleet.device("y", { member: await fleet.member("device", "y", times) });
  await renewalOf(fleet, member, device).renew();
  await bounded("the other's end", failureOf(other.closed));
  assert.ok(await old.ping() >= 0);
});

test("the store has every credential that was issued", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("device", "x");
  const renewal = renewalOf(fleet, member, await fleet.device("x", { member }));
  const ids = [await renewal.renew(), await renewal.rotate()].map((made) => made.credentialId);
  const history = await fleet.store.memberHistory("device", "x");
  assert.equal(history.map(({ credentialId }) => credentialId), ids.reverse());
  assert.is(new Set(history.map(({ keyThumbprint }) => keyThumbprint)).size, 2);
});

test("rotated keys are the device's from then on; its channels go on, new dials find it", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("device", "x");
  const before = { ...member.identity.state };
  const device = await fleet.device("x", { member });
  const operator = await fleet.operator();
  const dialer = await fleet.dialer(operator, once);
  const echo = async (channel: Awaited<ReturnType<typeof dialer.dial>>) => {
    await channel.write(Uint8Array.of(7));
    assert.equal([...(await bounded("an echo", channel.read()))!], [7]);
  };
  const channel = await dialer.dial("x", { port: 7 });
  const renewed = await renewalOf(fleet, member, device).rotate();
  const after = member.identity.state;
  assert.equal(publicKeysOf(after), { key: renewed.key, agreement: renewed.agreement });
  assert.is.not(after.privateKey.d, before.privateKey.d);
  assert.is.not(after.agreementKey.d, before.agreementKey.d);
  await echo(channel);
  // This dialer knows the key of before, so the device answers it `stale`.
  await echo(await bounded("a dial", dialer.dial("x", { port: 7 })));
  await echo(await bounded("a dial", (await fleet.dialer(operator, once)).dial("x", { port: 7 })));
  assert.ok(await (await fleet.signIn(member.identity)).ping() >= 0);
  // Once more, from the keys that it has now.
  const again = await fleet.device("x", { member });
  await renewalOf(fleet, member, again).rotate();
  assert.is.not(member.identity.state.privateKey.d, after.privateKey.d);
});

test("a rotation in the middle of a dial costs it another offer, no more", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("device", "x");
  const device = await fleet.device("x", { member });
  const operator = await fleet.operator();
  const renewal = renewalOf(fleet, member, device, {
    // The relay shows the new key, the device does not have it yet: the first answer is the old one.
    keep() {
      dialling = dialer.dial("x", { port: 7 });
      return heard.promise;
    },
  });
  const heard = Promise.withResolvers<void>();
  let asked = 0;
  const dialer = await fleet.dialer(operator, {
    ...once,
    async trust() {
      // The second key that is shown is the old one; the device changes it before it is used.
      if (++asked !== 2) return;
      heard.resolve();
      await rotating;
    },
  });
  let dialling: ReturnType<typeof dialer.dial> | undefined;
  const rotating: Promise<Principal> = renewal.rotate();
  await rotating;
  const channel = await bounded("the dial", dialling!);
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await channel.read())!], [1]);
  assert.is(asked, 3);
});

test("who pinned the key of before sees the change and may refuse it", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("device", "x");
  const pinned = member.identity.state.agreementKey.x;
  const device = await fleet.device("x", { member });
  const dialer = await fleet.dialer(await fleet.operator(), {
    ...once,
    trust(_device, key) {
      if (key.x === pinned) return;
      const state = `it is ${key.x}, and ${pinned} was pinned`;
      throw new TunnelError("refused", { action: "check the key", state });
    },
  });
  const channel = await dialer.dial("x", { port: 7 });
  await renewalOf(fleet, member, device).rotate();
  const error = await bounded("the dial", failureOf(dialer.dial("x", { port: 7 })));
  assert.is(error.code, "refused");
  const changed = member.identity.state.agreementKey.x;
  assert.match(error.message, `it is ${changed}, and ${pinned} was pinned`);
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await channel.read())!], [1]);
});

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
  assert.is.not(member.identity.state.privateKey.d, before.privateKey.d);
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

const cheats: [string, RegExp, (cheat: Cheat) => Promise<Request>][] = [
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
    const { agreement } = publicKeysOf(await generateMemberKeys());
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

test("a member takes no credential but its own, and keeps the one it has", async () => {
  await using fleet = await startFleet();
  await using other = await startFleet();
  const member = await fleet.member("device", "x");
  const link = await fleet.device("x", { member });
  const before = member.identity.state;
  const keep = () => Promise.reject(new Error("it was kept"));
  const lies: [string, Promise<Member>][] = [
    ["protocol", fleet.member("device", "y")],
    ["protocol", fleet.member("operator", "x")],
    ["protocol", fleet.member("device", "x")],
    ["refused", other.member("device", "x")],
  ];
  for (const [code, liar] of lies) {
    link.renew = async () => (await liar).identity.credential;
    const error = await failureOf(renewalOf(fleet, member, link, { keep }).renew());
    assert.is(error.code, code);
    assert.is(member.identity.state, before);
  }
});

test("what cannot be kept is not used", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("device", "x");
  const before = member.identity.state;
  const full = new TunnelError("unavailable", { action: "write", state: "the disk is full" });
  const renewal = renewalOf(fleet, member, await fleet.device("x", { member }), {
    keep: () => Promise.reject(full),
  });
  assert.is(await failureOf(renewal.rotate()), full);
  assert.is(member.identity.state, before);
  // Dials find the device by the key that it still has.
  const operator = await fleet.operator();
  const channel = await bounded("a dial", fleet.dial(operator, "x", { port: 7 }));
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await channel.read())!], [1]);
});

test("in the background it renews at between a third and a quarter of the life", async () => {
  for (const [random, part] of [[0, 1 / 4], [1, 1 / 3]] as const) {
    await using fleet = await startFleet();
    const member = await fleet.member("device", "x", { ttl: HOUR });
    const link = await fleet.device("x", { member });
    // By its clock it is due in 200 ms.
    const start = unverified(member.identity.credential).issuedAt + HOUR * (1 - part) - 200;
    const asked = Promise.withResolvers<void>();
    const began = performance.now();
    const { nonce } = link;
    link.nonce = (signal) => (asked.resolve(), nonce.call(link, signal));
    const stop = new AbortController();
    const now = () => start + performance.now() - began;
    const running = renewalOf(fleet, member, link, { random: () => random, now }).run(stop.signal);
    await bounded("the renewal", asked.promise);
    const took = performance.now() - began;
    stop.abort();
    assert.ok(took >= 190, `it came after ${took} ms`);
    await bounded("the end", running);
  }
});

test("after a failure it tries again, says so, and still comes before the end", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("device", "x", { ttl: 12_000 });
  const link = await fleet.device("x", { member });
  const said: [string, LogFields?][] = [];
  const warn = (...line: [string, LogFields?]) => void said.push(line);
  const failures = ["no link", "no answer"];
  const kept = Promise.withResolvers<void>();
  const { nonce } = link;
  link.nonce = (signal) => {
    const state = failures.shift();
    if (state === undefined) return nonce.call(link, signal);
    return Promise.reject(new TunnelError("timeout", { action: "ask", state }));
  };
  const stop = new AbortController();
  const running = renewalOf(fleet, member, link, {
    log: { ...SILENT, warn },
    // By its clock a renewal is due about now, and the end is near.
    now: () => Date.now() + 8_500,
    keep: () => Promise.resolve(kept.resolve()),
  }).run(stop.signal);
  await bounded("the renewal", kept.promise);
  stop.abort();
  await bounded("the end", running);
  assert.equal(said.map(([what, facts]) => [what, facts?.why]), [
    ["the credential is not renewed", "no link"],
    ["the credential is not renewed", "no answer"],
  ]);
  for (const [, facts] of said) assert.match(String(facts?.ends), /^\d{4}-.*Z$/);
});

test("an operator that is refused is told once, when its credential is about to end", async () => {
  await using fleet = await startFleet();
  const member = await fleet.member("operator", "o", { ttl: HOUR, now: Date.now() - HOUR * 0.9 });
  const said: LogFields[] = [];
  const warn = (_: string, facts: LogFields = {}) => void said.push(facts);
  const link = await fleet.signIn(member.identity);
  const renewal = renewalOf(fleet, member, link, { log: { ...SILENT, warn } });
  await bounded("the end", renewal.run(new AbortController().signal));
  assert.is(said.length, 1);
  assert.equal([said[0]!.operator, said[0]!.again], ["o", undefined]);
  assert.match(String(said[0]!.why), /ask for a new join string in time/);
});

test.run();

type Request = Parameters<Link["renew"]>[0];

interface Cheat {
  readonly fleet: Fleet;
  readonly link: Link;
  /** A renewal that is in order for that nonce. */
  readonly prove: (nonce: string, rotating?: boolean, shown?: Member) => Promise<Request>;
}

function renewalOf(
  fleet: Fleet,
  { identity }: Member,
  link: Link,
  options: Partial<RenewalOptions> = {},
): Renewal {
  return new Renewal({
    membership: identity,
    ...link.principal,
    verifier: new Verifier(fleet.authority.publicJwk),
    links: { link: () => Promise.resolve(link) },
    audience: audienceOf(fleet.url),
    keep: () => Promise.resolve(),
    log: SILENT,
    ...options,
  });
}

async function requestOf(
  fleet: Fleet,
  state: MemberState,
  nonce: string,
  rotating: boolean,
): Promise<Request> {
  const keys = rotating ? await generateMemberKeys() : state;
  const { key, agreement } = publicKeysOf(keys);
  const subject = renewalSubject(state.credential, key, agreement);
  const audience = audienceOf(fleet.url);
  const prove = async ({ privateKey }: typeof keys) =>
    makeProof({ privateKey: await importPrivateKey(privateKey), nonce, audience, subject });
  return {
    credential: state.credential,
    proof: await prove(state),
    rotate: rotating ? { key, agreement, proof: await prove(keys) } : undefined,
  };
}
