import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { type Fleet, startFleet } from "../tests/fleet.ts";
import { memoryPair } from "../transports/memory.ts";
import type { PendingDial } from "./approval.ts";
import { MessageStream } from "./control_stream.ts";
import { openLink } from "./endpoint.ts";
import { TunnelError } from "./errors.ts";
import type { Link } from "./link.ts";
import { type LogFields, SILENT } from "./log.ts";
import type { Stream } from "./transport.ts";

const test = suite("approval");

const no = (state: string) => new TunnelError("refused", { action: "ask", state });

test("whoever is asked is told of operator, target and reason, and the dial waits", async () => {
  const warnings: [string, LogFields?][] = [];
  const warn = (what: string, fields?: LogFields) => void warnings.push([what, fields]);
  await using fleet = await startFleet();
  const { ask, asked, answer } = question();
  let connected = false;
  await fleet.device("x", {
    approval: { ask, timeout: 5_000 },
    connect: () => (connected = true, Promise.reject(no("there is no target"))),
  });
  const dialer = await fleet.dialer(await fleet.operator(), { log: { ...SILENT, warn } });
  const dialling = failureOf(dialer.dial("x", { port: 7 }, { reason: "ticket 4711" }));
  const { device, offer } = await bounded("the question", asked);
  const { operator, port, host, reason } = offer;
  assert.equal([device, operator, port, host, reason], [
    "x",
    "night-shift",
    7,
    undefined,
    "ticket 4711",
  ]);
  assert.is(connected, false, "the target was connected to before anybody approved");
  answer.resolve("boss");
  assert.is((await bounded("the dial", dialling)).code, "target");
  assert.is(connected, true);
  assert.equal(warnings, [["waiting for approval", { device: "x", seconds: 5 }]]);
});

test("a dial that is approved carries bytes, and a re-attach asks nobody", async () => {
  let questions = 0;
  const resumed = Promise.withResolvers<void>();
  const info = (what: string) => what === "channel resumed" && resumed.resolve();
  await using fleet = await startFleet();
  await fleet.device("x", { approval: { ask: () => Promise.resolve(`${++questions}`) } });
  const dialer = await fleet.dialer(await fleet.operator(), { log: { ...SILENT, info } });
  const channel = await bounded("the dial", dialer.dial("x", { port: 7 }));
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await channel.read())!], [1]);
  dialer.move(await fleet.operator());
  await bounded("the re-attach", resumed.promise);
  await channel.write(Uint8Array.of(2));
  assert.equal([...(await channel.read())!], [2]);
  assert.is(questions, 1);
  await dialer.close();
});

test("a dial that is not approved is refused with the reason", async () => {
  await using fleet = await startFleet();
  await fleet.device("x", { approval: { ask: () => Promise.reject(no("not at night")) } });
  const error = await bounded(
    "the dial",
    failureOf(fleet.dial(await fleet.operator(), "x", { port: 7 })),
  );
  assert.equal([error.code, error.parts.state, error.exitCode], ["refused", "not at night", 3]);
});

test("nobody is asked about what is not allowed", async () => {
  await using fleet = await startFleet();
  await fleet.device("x", { approval: { ask: () => Promise.reject(new Error("it was asked")) } });
  const dialling = fleet.dial(await fleet.operator(), "x", { port: 8 });
  assert.is((await bounded("the dial", failureOf(dialling))).code, "target");
});

test("without a decision in time the dial is refused, and nobody is asked any longer", async () => {
  await using fleet = await startFleet();
  const { ask, stopped } = question();
  await fleet.device("x", { approval: { ask, timeout: 50 } });
  const dialling = fleet.dial(await fleet.operator(), "x", { port: 7 });
  const error = await bounded("the dial", failureOf(dialling));
  assert.is(error.code, "refused");
  assert.match(error.message, /nobody approved the dial within 0.05 s/);
  await bounded("the end of the question", stopped);
});

test("a decision may take longer than a dial otherwise may, at relay and service", async () => {
  await using fleet = await startFleet({ limits: { dialTimeout: 1_000 } });
  const { ask, asked, answer } = question();
  await fleet.device("x", { approval: { ask, timeout: 60_000 } });
  const dialling = fleet.dial(await fleet.operator(), "x", { port: 7 }, { timeout: 1_000 });
  await bounded("the question", asked);
  // What either end waits for a device that asks nobody has passed then: it began before.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  answer.resolve(undefined);
  const channel = await bounded("the dial", dialling);
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await channel.read())!], [1]);
});

test("a device cannot have relay and service wait longer than these do", async () => {
  await using fleet = await startFleet({ limits: { dialTimeout: 1_000, approvalTimeout: 30 } });
  const { ask, stopped } = question();
  await fleet.device("x", { approval: { ask, timeout: 60_000 } });
  const operator = await fleet.operator();
  const error = await bounded("the dial", failureOf(fleet.dial(operator, "x", { port: 7 })));
  assert.is(error.code, "timeout");
  await bounded("the end of the question", stopped);
  await using patient = await startFleet();
  const other = question();
  await patient.device("x", { approval: { ask: other.ask, timeout: 60_000 } });
  const dialer = await patient.dialer(await patient.operator(), { approvalTimeout: 30 });
  const late = await bounded(
    "the dial",
    failureOf(dialer.dial("x", { port: 7 }, { timeout: 1_000 })),
  );
  assert.is(late.code, "timeout");
  await bounded("the end of the question", other.stopped);
});

test("nobody is asked any longer about a dial that its operator gives up", async () => {
  await using fleet = await startFleet();
  const { ask, asked, stopped } = question();
  await fleet.device("x", { approval: { ask } });
  const stop = new AbortController();
  const options = { signal: stop.signal };
  const dialling = failureOf(fleet.dial(await fleet.operator(), "x", { port: 7 }, options));
  await bounded("the question", asked);
  stop.abort();
  assert.is((await bounded("the dial", dialling)).code, "aborted");
  await bounded("the end of the question", stopped);
});

test("a device that ends asks no longer, and one that is lost is offline", async () => {
  await using fleet = await startFleet();
  const first = question();
  await fleet.device("x", { approval: { ask: first.ask } });
  const operator = await fleet.operator();
  const dialling = failureOf(fleet.dial(operator, "x", { port: 7 }));
  await bounded("the question", first.asked);
  await fleet.devices[0]!.close();
  await bounded("the end of the question", first.stopped);
  assert.is((await bounded("the dial", dialling)).code, "unavailable");
  const second = question();
  const link = await fleet.device("y", { approval: { ask: second.ask } });
  const lost = failureOf(fleet.dial(operator, "y", { port: 7 }));
  await bounded("the question", second.asked);
  link.session.close();
  assert.is((await bounded("the dial", lost)).code, "offline");
  await bounded("the end of the question", second.stopped);
});

test("beyond the limit of questions at once dials are refused, and places free themselves", async () => {
  await using fleet = await startFleet();
  const questions = [question(), question(), question()];
  let next = 0;
  await fleet.device("x", {
    approval: { ask: (...args) => questions[next++]!.ask(...args), most: 2 },
  });
  const operator = await fleet.operator();
  const dial = () => fleet.dial(operator, "x", { port: 7 });
  const waiting = [dial(), dial()];
  await bounded("the questions", Promise.all([questions[0]!.asked, questions[1]!.asked]));
  const error = await bounded("a dial too many", failureOf(dial()));
  assert.is(error.code, "limit");
  assert.match(error.message, /2 dials to this device wait for approval/);
  questions[0]!.answer.resolve(undefined);
  // Either may have asked first.
  await bounded("one of them", Promise.race(waiting));
  const third = dial();
  await bounded("the third question", questions[2]!.asked);
  for (const { answer } of questions) answer.resolve(undefined);
  await bounded("the others", Promise.all([...waiting, third]));
});

test("a device that has a dial wait twice breaks the protocol, for relay and service", async () => {
  const twice = async (stream: Stream) => {
    const messages = new MessageStream(stream);
    await messages.receive(v.any(), { action: "test" });
    for (let i = 0; i < 2; i++) await messages.send({ type: "pending", timeout: 60_000 });
  };
  await using fleet = await startFleet();
  const link = await rawDevice(fleet);
  (async () => {
    for await (const stream of link.session.incoming) twice(stream);
  })();
  const operator = await fleet.operator();
  const error = await bounded("the dial", failureOf(fleet.dial(operator, "x", { port: 7 })));
  assert.is(error.code, "protocol");
  // The service finds it by itself where the relay does not.
  const [near, far] = memoryPair();
  far.incoming.next().then(({ value }) => twice(value!));
  operator.session.openStream = () => near.openStream();
  const dialer = await fleet.dialer(operator);
  const found = await bounded("the dial", failureOf(dialer.dial("x", { port: 7 })));
  assert.equal([found.code, found.parts.state], ["protocol", "the device has it wait twice"]);
});

test("an operator that speaks while its dial waits has given it up", async () => {
  await using fleet = await startFleet();
  const { ask, asked, stopped } = question();
  await fleet.device("x", { approval: { ask } });
  const operator = await fleet.operator();
  const openStream = operator.session.openStream.bind(operator.session);
  operator.session.openStream = async (options) => {
    const { readable, writable } = await openStream(options);
    const writer = writable.getWriter();
    asked.then(() => writer.write(Uint8Array.of(0)));
    const write = (chunk: Uint8Array) => writer.write(chunk);
    return { readable, writable: new WritableStream({ write }) };
  };
  const dialer = await fleet.dialer(operator);
  const error = await bounded("the dial", failureOf(dialer.dial("x", { port: 7 })));
  assert.is(error.code, "protocol");
  assert.match(error.message, /speaks before it is answered/);
  await bounded("the end of the question", stopped);
});

test.run();

/** A device x that signs in and serves nothing. */
async function rawDevice({ member, url: relay, connector }: Fleet): Promise<Link> {
  const { claim } = await member("device", "x");
  const epoch = () => "A".repeat(22);
  return await openLink({ relay, claim, connector, agent: "test", epoch });
}

/** A question that the test answers. */
function question() {
  const asked = Promise.withResolvers<PendingDial>();
  const answer = Promise.withResolvers<string | undefined>();
  const stopped = Promise.withResolvers<void>();
  const ask = (dial: PendingDial, signal: AbortSignal) => {
    asked.resolve(dial);
    signal.addEventListener("abort", () => stopped.resolve());
    return answer.promise;
  };
  return { ask, asked: asked.promise, answer, stopped: stopped.promise };
}
