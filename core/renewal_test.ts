import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { type Member, startFleet } from "../tests/fleet.ts";
import { renewalOf } from "../tests/renewals.ts";
import { TunnelError } from "./errors.ts";
import { type Principal, unverified } from "./identity/credential.ts";
import { type LogFields, SILENT } from "./log.ts";
import { asJwks } from "./member/identity.ts";
import { type MemberState, publicKeysOf } from "./membership.ts";

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
  const before = asJwks(member.identity.state);
  const device = await fleet.device("x", { member });
  const operator = await fleet.operator();
  const dialer = await fleet.dialer(operator, once);
  const echo = async (channel: Awaited<ReturnType<typeof dialer.dial>>) => {
    await channel.write(Uint8Array.of(7));
    assert.equal([...(await bounded("an echo", channel.read()))!], [7]);
  };
  const channel = await dialer.dial("x", { port: 7 });
  const renewed = await renewalOf(fleet, member, device).rotate();
  const after = asJwks(member.identity.state);
  assert.equal(await publicKeysOf(after), { key: renewed.key, agreement: renewed.agreement });
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
  assert.is.not(asJwks(member.identity.state).privateKey.d, after.privateKey.d);
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
  const pinned = asJwks(member.identity.state).agreementKey.x;
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
  const changed = asJwks(member.identity.state).agreementKey.x;
  assert.match(error.message, `it is ${changed}, and ${pinned} was pinned`);
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await channel.read())!], [1]);
});

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
