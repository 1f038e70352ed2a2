import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/conformance.ts";
import { failureOf as failure } from "../../tests/failure.ts";
import { startFleet } from "../../tests/fleet.ts";
import { MessageStream } from "../control_stream.ts";
import type { Duplex } from "../duplex.ts";
import { openLink } from "../endpoint.ts";
import { TunnelError } from "../errors.ts";
import { hashSecret, newSecret } from "../identity/join.ts";
import {
  exportPublicKey,
  generateAgreementKey,
  generateKeyPair,
  parseAgreementJwk,
} from "../identity/keys.ts";
import { Challenge } from "../control.ts";
import { makeProof } from "../identity/proof.ts";
import { encodeMessage } from "../message.ts";

const test = suite("relay");

test("an operator reaches a device's port by its ID, with half-close both ways", async () => {
  await using fleet = await startFleet();
  await fleet.device("x");
  const operator = await fleet.operator();
  const channel = await bounded("the dial", fleet.dial(operator, "x", { port: 7 }));
  await channel.write(bytes("hello"));
  assert.is(text(await channel.read()), "hello");
  await channel.closeWrite();
  assert.is(await channel.read(), null);
  await bounded("the end", channel.closed);
});

const refusals: [string, string, { device: string; port: number }][] = [
  ["a device nobody knows", "unknown", { device: "nobody", port: 7 }],
  ["a port that the device does not allow", "target", { device: "x", port: 8 }],
];
for (const [what, expected, { device, port }] of refusals) {
  test(`a dial to ${what} is refused as ${expected}`, async () => {
    await using fleet = await startFleet();
    await fleet.device("x");
    const operator = await fleet.operator();
    const error = await bounded("dial", failure(fleet.dial(operator, device, { port })));
    assert.is(error.code, expected);
    assert.is(error.message.includes("\n"), false);
  });
}

test("a dial to a device that has left says since when", async () => {
  await using fleet = await startFleet();
  const device = await fleet.device("x");
  const operator = await fleet.operator();
  device.session.close();
  await bounded("the session", device.session.closed);
  let error: TunnelError;
  do {
    error = await bounded("dial", failure(fleet.dial(operator, "x", { port: 7 })));
  } while (error.code === "reset"); // The relay was just learning of it.
  assert.is(error.code, "offline");
  assert.match(error.message, /offline since \d{4}-/);
});

test("a target that cannot be reached is reported with the reason", async () => {
  await using fleet = await startFleet();
  const connect = () =>
    Promise.reject(new TunnelError("reset", { action: "connect", state: "connection refused" }));
  await fleet.device("x", { connect });
  const error = await failure(fleet.dial(await fleet.operator(), "x", { port: 7 }));
  assert.is(error.code, "target");
  assert.match(error.message, /connection refused/);
  assert.is(error.exitCode, 6);
});

test("a reset of the target arrives as a reset at the operator", async () => {
  await using fleet = await startFleet();
  const crash = Promise.withResolvers<null>();
  const target: Duplex = {
    read: () => crash.promise,
    write: () => Promise.resolve(),
    closeWrite: () => Promise.resolve(),
    reset: () => {},
  };
  await fleet.device("x", { connect: () => Promise.resolve(target) });
  const channel = await fleet.dial(await fleet.operator(), "x", { port: 7 });
  const reading = failure(channel.read());
  crash.reject(new TunnelError("reset", { action: "read", state: "the service crashed" }));
  const error = await bounded("the read", reading);
  assert.is(error.code, "reset");
  assert.match(error.message, /the service crashed/);
});

test("a dial that its operator cancels leaves neither target nor stream behind", async () => {
  await using fleet = await startFleet();
  const asked = Promise.withResolvers<void>();
  const connected = Promise.withResolvers<Duplex>();
  const wasReset = Promise.withResolvers<TunnelError>();
  const device = await fleet.device("x", {
    connect: () => (asked.resolve(), connected.promise),
  });
  const operator = await fleet.operator();
  const stop = new AbortController();
  const dialling = failure(fleet.dial(operator, "x", { port: 7 }, { signal: stop.signal }));
  await bounded("the target", asked.promise);
  stop.abort();
  assert.is((await bounded("the dial", dialling)).code, "aborted");
  connected.resolve({
    read: () => wasReset.promise.then((error) => Promise.reject(error)),
    write: () => Promise.resolve(),
    closeWrite: () => Promise.resolve(),
    reset: wasReset.resolve,
  });
  await bounded("the target's reset", wasReset.promise);
  // Retiring closes a session only when nothing on it is in use.
  device.retire(new AbortController().signal);
  await bounded("the device's session", device.session.closed);
});

test("a device that is lost while it is dialled is offline, not refusing", async () => {
  await using fleet = await startFleet();
  const asked = Promise.withResolvers<void>();
  const device = await fleet.device("x", {
    connect: () => (asked.resolve(), new Promise(() => {})),
  });
  const dialling = failure(fleet.dial(await fleet.operator(), "x", { port: 7 }));
  await bounded("the target", asked.promise);
  device.session.close();
  const error = await bounded("the dial", dialling);
  assert.is(error.code, "offline");
  assert.is(error.exitCode, 4);
});

test("a device may not ask for the fleet", async () => {
  await using fleet = await startFleet();
  const device = await fleet.device("x");
  assert.is((await failure(device.devices())).code, "refused");
  assert.ok(await device.ping() >= 0);
});

test("a second process with a device's credential replaces the first, which is told why", async () => {
  await using fleet = await startFleet();
  const first = await fleet.device("x", { instance: "process-1" });
  const operator = await fleet.operator();
  const cut = await fleet.dial(operator, "x", { port: 7 });
  await fleet.device("x", { instance: "process-2" });
  const error = await bounded("the first", failure(first.closed));
  assert.is(error.code, "replaced");
  assert.match(error.message, /another session of device x/);
  assert.is((await bounded("its channel", failure(cut.read()))).code, "reset");
  const channel = await fleet.dial(operator, "x", { port: 7 });
  await channel.write(bytes("new"));
  assert.is(text(await channel.read()), "new");
});

test("a second session of the same process takes new dials and leaves the old channels", async () => {
  await using fleet = await startFleet();
  await fleet.device("x", { instance: "process-1" });
  const operator = await fleet.operator();
  const old = await fleet.dial(operator, "x", { port: 7 });
  const second = await fleet.device("x", { instance: "process-1" });
  const channel = await fleet.dial(operator, "x", { port: 7 });
  for (const each of [old, channel]) {
    await each.write(bytes("alive"));
    assert.is(text(await each.read()), "alive");
  }
  second.session.close();
  await second.session.closed;
  await old.write(bytes("still"));
  assert.is(text(await old.read()), "still");
});

test("the relay lists devices, and tells of one", async () => {
  await using fleet = await startFleet();
  await fleet.device("b");
  const gone = await fleet.device("a");
  const operator = await fleet.operator();
  gone.session.close();
  await gone.session.closed;
  while (fleet.relay.registry.size > 1) await operator.ping();
  const list = await operator.devices();
  assert.equal(list.map(({ id, online }) => [id, online]), [["a", false], ["b", true]]);
  assert.is((await operator.device("b")).online, true);
  assert.is((await failure(operator.device("c"))).code, "unknown");
});

test("a list longer than a page comes whole", async () => {
  await using fleet = await startFleet();
  const sighting = { at: 1, transport: "quic", remote: { hostname: "10.0.0.1", port: 1 } };
  for (let i = 0; i < 300; i++) {
    await fleet.store.deviceSeen(`d${String(i).padStart(3, "0")}`, sighting);
  }
  const list = await (await fleet.operator()).devices();
  assert.is(new Set(list.map(({ id }) => id)).size, 300);
});

test("a join string works once, and makes a credential that works", async () => {
  await using fleet = await startFleet();
  const secret = newSecret();
  const now = Date.now();
  await fleet.store.createInvite({
    role: "device",
    name: "x",
    secretHash: await hashSecret(secret),
    at: now,
    expiresAt: now + 60_000,
    uses: 1,
  });
  const { publicKey, privateKey } = await generateKeyPair();
  const join = {
    secret,
    publicKey: await exportPublicKey(publicKey),
    agreement: parseAgreementJwk(await generateAgreementKey()),
    privateKey,
  };
  const options = { relay: fleet.url, connector: fleet.connector, agent: "test" };
  const joined = await openLink({ ...options, claim: join });
  assert.equal(joined.principal, { role: "device", name: "x" });
  const credential = joined.credential!;
  const again = await openLink({ ...options, claim: { credential, privateKey } });
  assert.equal(again.principal, { role: "device", name: "x" });
  const error = await failure(openLink({ ...options, claim: join }));
  assert.is(error.code, "refused");
  assert.match(error.message, /used up/);
  assert.not.match(error.message, secret);
});

const strangers: [string, (fleet: Fleet) => Promise<Parameters<typeof openLink>[0]["claim"]>][] = [
  [
    "an expired credential",
    (fleet) => fleet.claim("operator", "o", { ttl: 1_000, now: Date.now() - 3_600_000 }),
  ],
  ["another fleet's credential", async () => {
    await using other = await startFleet();
    return await other.claim("operator", "o");
  }],
  ["a credential without its key", async (fleet) => {
    const { privateKey } = await generateKeyPair();
    const { credential } = await fleet.claim("operator", "o") as { credential: string };
    return { credential, privateKey };
  }],
  ["garbage for a credential", async () => ({
    credential: "a.b.c",
    privateKey: (await generateKeyPair()).privateKey,
  })],
];
for (const [what, make] of strangers) {
  test(`${what} is refused, and the session closed`, async () => {
    await using fleet = await startFleet();
    const claim = await make(fleet);
    const error = await bounded(
      "the sign-in",
      failure(openLink({
        relay: fleet.url,
        claim,
        connector: fleet.connector,
        agent: "test",
      })),
    );
    assert.is(error.code, "refused");
    assert.is(error.exitCode, 3);
    await bounded("the close", fleet.sessions.at(-1)!.closed);
  });
}

test("a proof made for another relay's name is refused", async () => {
  await using fleet = await startFleet();
  const session = await fleet.connector.connect(fleet.url);
  const control = new MessageStream((await session.incoming.getReader().read()).value!);
  const { nonce } = await control.receive(Challenge, { action: "test" });
  const { credential, privateKey } = await fleet.claim("operator", "o") as {
    credential: string;
    privateKey: CryptoKey;
  };
  const proof = await makeProof({
    privateKey,
    nonce,
    audience: "evil.example:443",
    subject: credential,
  });
  await control.send({
    type: "auth",
    version: 1,
    agent: "t",
    instance: "12345678",
    credential,
    proof,
  });
  const info = await bounded("the close", session.closed);
  assert.match(info.reason, /evil\.example/);
});

const greetings: [string, Uint8Array][] = [
  ["garbage", new Uint8Array(64).fill(0xff)],
  ["an oversized message", new Uint8Array([0, 0, 0x40, 0])],
  ["an empty message", new Uint8Array(4)],
  ["JSON that is no message", encodeMessage({ type: "hello" })],
  ["a message that is no JSON", new Uint8Array([0, 0, 0, 2, 0x7b, 0x7b])],
  [
    "a future version",
    encodeMessage({
      type: "auth",
      version: 9,
      agent: "t",
      instance: "12345678",
      credential: "c",
      proof: "p",
    }),
  ],
];
for (const [what, message] of greetings) {
  test(`${what} instead of a greeting closes that session alone`, async () => {
    await using fleet = await startFleet();
    await fleet.device("x");
    const operator = await fleet.operator();
    const session = await fleet.connector.connect(fleet.url);
    const stream = (await session.incoming.getReader().read()).value!;
    const writer = stream.writable.getWriter();
    await writer.write(message).catch(() => {});
    const info = await bounded("the close", session.closed);
    assert.is(info.code, 4);
    const channel = await fleet.dial(operator, "x", { port: 7 });
    await channel.write(bytes("unmoved"));
    assert.is(text(await channel.read()), "unmoved");
    assert.is(fleet.relay.sessions, 2);
  });
}

test("a session that never speaks is closed when its time is up", async () => {
  await using fleet = await startFleet({ limits: { signInTimeout: 50 } });
  const session = await fleet.connector.connect(fleet.url);
  await bounded("the close", session.closed);
  while (fleet.relay.sessions > 0) await new Promise((resolve) => setTimeout(resolve, 0));
});

test("beyond the limit of pending sessions new ones are refused, and a place frees itself", async () => {
  await using fleet = await startFleet({ limits: { pending: 2, signInTimeout: 60_000 } });
  const silent = [
    await fleet.connector.connect(fleet.url),
    await fleet.connector.connect(fleet.url),
  ];
  assert.is((await failure(fleet.connector.connect(fleet.url))).code, "unreachable");
  silent[0]!.close();
  for (;;) {
    const operator = await fleet.operator().catch(() => null);
    if (operator) break;
  }
});

test("a bad dial header ends that stream and not the session", async () => {
  await using fleet = await startFleet();
  await fleet.device("x");
  const operator = await fleet.operator();
  for (
    const dial of [{ type: "dial", device: "a/b", port: 7, protocol: "tcp" }, {
      type: "dial",
      device: "x",
      port: 70_000,
      protocol: "tcp",
    }]
  ) {
    const stream = new MessageStream(await operator.session.openStream());
    await stream.send(dial);
    const { Answer } = await import("../control.ts");
    const answer = await bounded("an answer", stream.receive(Answer, { action: "test" }));
    assert.is(answer.type, "refused");
    await stream.close();
  }
  const channel = await fleet.dial(operator, "x", { port: 7 });
  await channel.write(bytes("fine"));
  assert.is(text(await channel.read()), "fine");
});

test("a device that does not answer a dial in time", async () => {
  await using fleet = await startFleet({ limits: { dialTimeout: 100 } });
  await fleet.device("x", { connect: () => new Promise(() => {}) });
  const error = await bounded(
    "dial",
    failure(fleet.dial(await fleet.operator(), "x", { port: 7 })),
  );
  assert.is(error.code, "timeout");
});

test("1,000 dials in sequence and 200 at once through one session leave nothing", async () => {
  await using fleet = await startFleet();
  const device = await fleet.device("x");
  const operator = await fleet.operator();
  const once = async (message: string) => {
    const channel = await fleet.dial(operator, "x", { port: 7 });
    await channel.write(bytes(message));
    assert.is(text(await channel.read()), message);
    await channel.closeWrite();
    assert.is(await channel.read(), null);
    await channel.closed;
  };
  for (let i = 0; i < 1_000; i++) await bounded("a dial", once(`message ${i}`));
  await bounded(
    "200 dials",
    Promise.all(
      Array.from({ length: 200 }, (_, i) => once(`at once ${i}`)),
    ),
  );
  // Retiring closes a session only when nothing on it is in use.
  const stop = new AbortController();
  for (const link of [operator, device]) link.retire(stop.signal);
  await bounded("the sessions", Promise.all([operator.session.closed, device.session.closed]));
});

test.run();

type Fleet = Awaited<ReturnType<typeof startFleet>>;

const bytes = (value: string) => new TextEncoder().encode(value);
const text = (value: Uint8Array | null) => new TextDecoder().decode(value!);
