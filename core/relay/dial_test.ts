import { setImmediate } from "node:timers";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { NEVER } from "../../tests/fake_transport.ts";
import { failureOf } from "../../tests/failure.ts";
import { startFleet } from "../../tests/fleet.ts";
import { Leftovers } from "../../tests/leftovers.ts";
import { bytes, text } from "../../tests/text.ts";
import { Answer } from "../control.ts";
import { MessageStream } from "../control_stream.ts";
import type { Duplex } from "../duplex.ts";
import { openLink } from "../endpoint.ts";
import { TunnelError } from "../errors.ts";

const test = suite("relay: dials");

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
    const error = await bounded("dial", failureOf(fleet.dial(operator, device, { port })));
    assert.is(error.code, expected);
    assert.is(error.message.includes("\n"), false);
  });
}

for (const [where, online] of [["for the device", false], ["for its answer", true]] as const) {
  test(`a dial that waits ${where} ends with its operator's session`, async () => {
    using leftovers = new Leftovers();
    await using fleet = await startFleet({ limits: { dialTimeout: NEVER } });
    const { claim } = await fleet.member("device", "x");
    const options = { relay: fleet.url, claim, connector: fleet.connector, agent: "test" };
    // It never looks at what it is offered.
    if (online) await openLink(options);
    const operator = await fleet.operator();
    await operator.ping();
    const before = [leftovers.timers, leftovers.listeners];
    const stream = new MessageStream(await operator.session.openStream());
    const hello = { epoch: "A".repeat(22), hello: "AAAA" };
    const target = { device: "x", port: 7, protocol: "tcp" };
    await stream.send({ type: "dial", ...target, ...hello, resume: true });
    while (leftovers.timers === before[0]) await turn();
    operator.session.close();
    const over = async () => {
      // The bound on this wait is a timer too.
      while (leftovers.timers > before[0]! + 1 || leftovers.listeners > before[1]!) await turn();
    };
    await bounded("the dial", over());
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
    error = await bounded("dial", failureOf(fleet.dial(operator, "x", { port: 7 })));
  } while (error.code === "reset"); // The relay was just learning of it.
  assert.is(error.code, "offline");
  assert.match(error.message, /offline since \d{4}-/);
});

test("a target that cannot be reached is reported with the reason", async () => {
  await using fleet = await startFleet();
  const connect = () =>
    Promise.reject(new TunnelError("reset", { action: "connect", state: "connection refused" }));
  await fleet.device("x", { connect });
  const error = await failureOf(fleet.dial(await fleet.operator(), "x", { port: 7 }));
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
  const reading = failureOf(channel.read());
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
  const dialling = failureOf(fleet.dial(operator, "x", { port: 7 }, { signal: stop.signal }));
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
  const dialling = failureOf(fleet.dial(await fleet.operator(), "x", { port: 7 }));
  await bounded("the target", asked.promise);
  device.session.close();
  const error = await bounded("the dial", dialling);
  assert.is(error.code, "offline");
  assert.is(error.exitCode, 4);
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
    failureOf(fleet.dial(await fleet.operator(), "x", { port: 7 })),
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

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
