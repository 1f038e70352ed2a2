/** At each limit: a clear refusal for whoever meets it, nothing for anybody else, and a count. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { type Fleet, startFleet } from "../../tests/fleet.ts";
import { bytes, text } from "../../tests/text.ts";
import type { Channel } from "../channel/channel.ts";
import { delay } from "../deadline.ts";
import { openLink } from "../endpoint.ts";
import type { TunnelError } from "../errors.ts";
import { hashSecret, newSecret } from "../identity/join.ts";
import {
  exportPublicKey,
  generateAgreementKey,
  generateKeyPair,
  parseAgreementJwk,
} from "../identity/keys.ts";
import type { Link } from "../link.ts";
import { encodeMessage } from "../message.ts";

/** Comes back after a day and more. */
const SELDOM = 1e-5;
const TARGET = { port: 7 };

const test = suite("relay: limits");

test("sessions: no more than the relay has places for", async () => {
  await using fleet = await startFleet({ limits: { sessions: 2 } });
  const links = [await fleet.operator("a"), await fleet.operator("b")];
  assert.is((await failureOf(fleet.operator("c"))).code, "unreachable");
  assert.is(fleet.count("refused_total", "sessions"), 1);
  for (const link of links) assert.ok(await link.ping() >= 0);
  links[0]!.session.close();
  await eventually(() => fleet.operator("c").then(() => true, () => false));
});

test("pending: silence takes no place of those who are signed in", async () => {
  await using fleet = await startFleet({ limits: { pending: 2 } });
  const operator = await fleet.operator();
  const silent = [await connect(fleet), await connect(fleet)];
  assert.is(fleet.count("pending"), 2);
  assert.is((await failureOf(fleet.operator("b"))).code, "unreachable");
  assert.is(fleet.count("refused_total", "pending"), 1);
  assert.ok(await operator.ping() >= 0);
  for (const session of silent) session.close();
  await eventually(() => fleet.operator("b").then(() => true, () => false));
});

test("address-pending: an address is told why, another is not touched", async () => {
  await using fleet = await startFleet({ limits: { addressPending: 2, pending: 100 } });
  fleet.transport.from = "192.0.2.1";
  const silent = [await connect(fleet), await connect(fleet)];
  const error = await bounded("the sign-in", failureOf(fleet.operator()));
  assertLimit(error, /192\.0\.2\.1 have not signed in/);
  assert.is(fleet.count("refused_total", "address-pending"), 1);
  assert.is(fleet.count("sign_ins_total", "limit"), 1);
  fleet.transport.from = "192.0.2.2";
  assert.ok(await (await fleet.operator()).ping() >= 0);
  fleet.transport.from = "192.0.2.1";
  silent[0]!.close();
  await eventually(() => fleet.operator().then(() => true, () => false));
});

test("address-rate: so many connections of one address at once, of a /64 in IPv6", async () => {
  const addressRate = { perSecond: SELDOM, burst: 2 };
  await using fleet = await startFleet({ limits: { addressRate } });
  fleet.transport.from = "2001:db8::1";
  const first = await fleet.operator();
  fleet.transport.from = "2001:db8::2";
  await fleet.operator();
  fleet.transport.from = "2001:db8::3";
  assertLimit(await failureOf(fleet.operator()), /2001:db8::3 connects too often/);
  assert.is(fleet.count("refused_total", "address-rate"), 1);
  fleet.transport.from = "2001:db8:0:1::1";
  await fleet.operator();
  assert.ok(await first.ping() >= 0);
});

test("refusals in words are few: in a flood an address is cut before its handshake", async () => {
  const addressRate = { perSecond: SELDOM, burst: 1 };
  await using fleet = await startFleet({ limits: { addressRate } });
  const operator = await fleet.operator();
  const errors = await Promise.all(Array.from({ length: 60 }, () => failureOf(fleet.operator())));
  const told = errors.filter(({ code }) => code === "limit").length;
  const cut = errors.filter(({ code }) => code === "unreachable").length;
  assert.is(told + cut, 60);
  assert.ok(told >= 1 && told <= 40, `${told} were told`);
  assert.is(fleet.count("refused_total", "address-rate"), 60);
  assert.ok(await operator.ping() >= 0);
});

test("sign-in-bytes: whoever sends more than a greeting is cut", async () => {
  await using fleet = await startFleet({ limits: { signInBytes: 9_000 } });
  const operator = await fleet.operator();
  for (const start of [new Uint8Array([0, 0, 0x1f, 0xff]), encodeMessage({ type: "hello" })]) {
    const session = await connect(fleet);
    const stream = (await session.incoming.next()).value!;
    const garbage = new Uint8Array(10_000);
    garbage.set(start);
    await stream.writable.getWriter().write(garbage).catch(() => {}); // Cut already.
    const info = await bounded("the close", session.closed);
    assert.is(info.code, 5);
    assert.match(info.reason, /more than 9000 bytes/);
  }
  assert.is(fleet.count("refused_total", "sign-in-bytes"), 2);
  assert.ok(await operator.ping() >= 0);
});

test("sign-in-streams: a stream that is opened before the sign-in ends the session", async () => {
  await using fleet = await startFleet();
  const operator = await fleet.operator();
  const session = await connect(fleet);
  await session.openStream();
  const info = await bounded("the close", session.closed);
  assert.is(info.code, 4);
  assert.match(info.reason, /a stream before it had signed in/);
  assert.is(fleet.count("refused_total", "sign-in-streams"), 1);
  assert.ok(await operator.ping() >= 0);
});

test("join-failures: an address that guesses may not join for a while, nor wait for an answer", async () => {
  const joinFailures = { perSecond: SELDOM, burst: 2 };
  await using fleet = await startFleet({ limits: { joinFailures } });
  fleet.transport.from = "192.0.2.1";
  for (let i = 0; i < 3; i++) {
    assert.is((await failureOf(join(fleet, newSecret()))).code, "refused");
  }
  const valid = await invite(fleet);
  assertLimit(await failureOf(join(fleet, valid)), /too many joins from 192\.0\.2\.1 have failed/);
  assert.is(fleet.count("refused_total", "join-failures"), 1);
  // Members behind the same address sign in as ever, and the join string is not spent.
  assert.ok(await (await fleet.operator()).ping() >= 0);
  fleet.transport.from = "192.0.2.2";
  assert.is((await join(fleet, valid)).principal.name, "x");
});

test("join-failures: a pause ends", async () => {
  const limits = { joinFailures: { perSecond: SELDOM, burst: 1 }, joinPause: 50 };
  await using fleet = await startFleet({ limits });
  for (let i = 0; i < 2; i++) await failureOf(join(fleet, newSecret()));
  const valid = await invite(fleet);
  await eventually(() => join(fleet, valid).then(() => true, () => false));
});

test("operator-sessions: one operator's do not count against another", async () => {
  await using fleet = await startFleet({ limits: { operatorSessions: 2 } });
  const links = [await fleet.operator("a"), await fleet.operator("a")];
  assertLimit(await failureOf(fleet.operator("a")), /operator a has 2 sessions/);
  assert.is(fleet.count("refused_total", "operator-sessions"), 1);
  await fleet.operator("b");
  for (const link of links) assert.ok(await link.ping() >= 0);
  links[0]!.session.close();
  await eventually(() => fleet.operator("a").then(() => true, () => false));
});

test("device-sessions: a process has so many, and another process takes over as ever", async () => {
  await using fleet = await startFleet({ limits: { deviceSessions: 2 } });
  for (let i = 0; i < 2; i++) await fleet.device("x", { instance: "process-1" });
  const error = await failureOf(fleet.device("x", { instance: "process-1" }));
  assertLimit(error, /device x has 2 sessions/);
  assert.is(fleet.count("refused_total", "device-sessions"), 1);
  await fleet.device("y", { instance: "process-1" });
  await fleet.device("x", { instance: "process-2" });
  await echo(await fleet.dial(await fleet.operator(), "x", TARGET));
});

test("requests: a session that asks too often is refused each, and lives on", async () => {
  const requests = { perSecond: SELDOM, burst: 3 };
  await using fleet = await startFleet({ limits: { requests } });
  await fleet.device("x");
  const [busy, other] = [await fleet.operator("a"), await fleet.operator("b")];
  for (let i = 0; i < 3; i++) await busy.ping();
  assertLimit(await failureOf(busy.ping()), /asks too often/);
  assert.is(fleet.count("refused_total", "requests"), 1);
  assert.is(fleet.count("requests_total", "ping"), 4);
  await echo(await fleet.dial(other, "x", TARGET));
});

const dials: [string, Parameters<typeof startFleet>[0], RegExp][] = [
  ["operator-dials", { limits: { operatorDials: 1 } }, /operator a has 1 connections/],
  ["dial-rate", { limits: { dialRate: { perSecond: SELDOM, burst: 1 } } }, /a dials too often/],
];
for (const [limit, options, pattern] of dials) {
  test(`${limit}: one operator's dials do not count against another`, async () => {
    await using fleet = await startFleet(options);
    await fleet.device("x");
    const [a, b] = [await fleet.operator("a"), await fleet.operator("b")];
    const open = await fleet.dial(a, "x", TARGET);
    assertLimit(await failureOf(fleet.dial(a, "x", TARGET)), pattern);
    assert.is(fleet.count("refused_total", limit), 1);
    assert.is(fleet.count("dials_total", "limit"), 1);
    await echo(await fleet.dial(b, "x", TARGET));
    await echo(open);
  });
}

test("dials: a relay carries so many, and a place is free when one has ended", async () => {
  await using fleet = await startFleet({ limits: { dials: 2 } });
  await fleet.device("x");
  const [a, b] = [await fleet.operator("a"), await fleet.operator("b")];
  const open = [await fleet.dial(a, "x", TARGET), await fleet.dial(b, "x", TARGET)];
  assertLimit(await failureOf(fleet.dial(b, "x", TARGET)), /the relay carries 2 connections/);
  assert.is(fleet.count("refused_total", "dials"), 1);
  for (const channel of open) await echo(channel);
  await end(open[0]!);
  await eventually(() => fleet.dial(b, "x", TARGET).then(() => true, () => false));
});

const bandwidths = ["operatorBandwidth", "deviceBandwidth", "bandwidth"] as const;
for (const name of bandwidths) {
  test(`${name}: what is carried keeps to it, both ways, and comes whole`, async () => {
    const rate = 512 * 1024;
    await using fleet = await startFleet({ limits: { [name]: rate } });
    await fleet.device("x");
    await fleet.device("y");
    const [a, b] = [await fleet.operator("a"), await fleet.operator("b")];
    const busy = await fleet.dial(a, "x", TARGET);
    const began = performance.now();
    const total = 384 * 1024;
    assert.is(await roundTrip(busy, total), total);
    // There and back, but for a burst of a quarter of a second and one block.
    const least = (2 * total - rate / 4 - 64 * 1024) / rate * 1_000;
    const took = performance.now() - began;
    assert.ok(took >= least - 5, `${2 * total} bytes took ${took} ms, ${least} is the least`);
    const label = name.replace("Bandwidth", "-bandwidth");
    const waits = fleet.count("waits_total", label);
    assert.ok(waits > 0);
    await echo(await fleet.dial(b, "y", TARGET));
    if (name !== "bandwidth") assert.is(fleet.count("waits_total", label), waits);
  });
}

test("a session that ends while its bytes wait for their turn leaves nothing", async () => {
  await using fleet = await startFleet({ limits: { bandwidth: 64 * 1024 } });
  await fleet.device("x");
  const operator = await fleet.operator();
  const channel = await fleet.dial(operator, "x", TARGET);
  const writing = failureOf(channel.write(new Uint8Array(200_000)).then(() => channel.read()))
    .catch(() => {}); // What was written may have been answered in part.
  await eventually(() => Promise.resolve(fleet.count("waits_total", "bandwidth") > 0));
  operator.session.close();
  await bounded("the write", writing);
  await eventually(() => Promise.resolve(fleet.count("dials") === 0));
});

test("what a relay carries is counted: sessions, sign-ins, dials, bytes", async () => {
  await using fleet = await startFleet();
  await fleet.device("x");
  const operator = await fleet.operator();
  assert.is(fleet.count("sessions", "memory", "device"), 1);
  assert.is(fleet.count("sessions", "memory", "operator"), 1);
  assert.is(fleet.count("connections_total", "memory"), 2);
  assert.is(fleet.count("handshakes_total", "memory", "done"), 2);
  assert.is(fleet.count("sign_ins_total", "accepted"), 2);
  assert.is(fleet.count("devices"), 1);
  const channel = await fleet.dial(operator, "x", TARGET);
  assert.is(fleet.count("dials"), 1);
  await echo(channel);
  await end(channel);
  assert.is((await failureOf(fleet.dial(operator, "x", { port: 8 }))).code, "target");
  assert.is(fleet.count("dials_total", "accepted"), 1);
  assert.is(fleet.count("dials_total", "target"), 1);
  assert.is(fleet.count("streams_total", "operator"), 2);
  assert.is(fleet.count("streams_total", "relay"), 2);
  for (const direction of ["sent", "received"]) {
    assert.ok(fleet.count("bytes_total", direction) > 4, `nothing was ${direction}`);
  }
  await eventually(() => Promise.resolve(fleet.count("dials") === 0));
  operator.session.close();
  await eventually(() => Promise.resolve(fleet.count("sessions", "memory", "operator") === 0));
  assert.is(fleet.count("sessions", "memory", "device"), 1);
});

test.run();

function assertLimit(error: TunnelError, pattern: RegExp): void {
  assert.is(error.code, "limit", error.message);
  assert.match(error.message, pattern);
  assert.match(error.parts.remedy ?? "", /try again later/);
}

function connect(fleet: Fleet) {
  return fleet.connector.connect(fleet.url);
}

/** Waits for what follows an event at the other end, of which nothing tells. */
async function eventually(check: () => Promise<boolean>): Promise<void> {
  await bounded(
    "what should follow",
    (async () => {
      while (!await check()) await delay(1);
    })(),
  );
}

async function echo(channel: Channel): Promise<void> {
  await channel.write(bytes("echo"));
  assert.is(text(await bounded("the echo", channel.read())), "echo");
}

async function end(channel: Channel): Promise<void> {
  await channel.closeWrite();
  assert.is(await channel.read(), null);
  await bounded("the end", channel.closed);
}

/** Bytes that came back of those that were sent. */
async function roundTrip(channel: Channel, total: number): Promise<number> {
  const sending = (async () => {
    const block = new Uint8Array(32 * 1024);
    for (let sent = 0; sent < total; sent += block.length) await channel.write(block);
    await channel.closeWrite();
  })();
  let back = 0;
  for (let chunk; (chunk = await bounded("data", channel.read())) !== null;) back += chunk.length;
  await sending;
  return back;
}

async function invite(fleet: Fleet): Promise<string> {
  const secret = newSecret();
  const at = Date.now();
  const secretHash = await hashSecret(secret);
  const invite = {
    role: "device",
    name: "x",
    secretHash,
    expiresAt: at + 60_000,
    uses: 1,
  } as const;
  await fleet.store.apply({ type: "invite", ...invite }, { by: "local:test", at });
  return secret;
}

async function join(fleet: Fleet, secret: string): Promise<Link> {
  const { publicKey, privateKey } = await generateKeyPair();
  const claim = {
    secret,
    publicKey: await exportPublicKey(publicKey),
    agreement: parseAgreementJwk(await generateAgreementKey()),
    privateKey,
  };
  return await openLink({ relay: fleet.url, connector: fleet.connector, agent: "test", claim });
}
