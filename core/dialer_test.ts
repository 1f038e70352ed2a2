import { suite } from "uvu";
import * as assert from "uvu/assert";
import { drain, pour } from "../tests/bytes.ts";
import { bounded } from "../tests/conformance.ts";
import { failureOf } from "../tests/failure.ts";
import { echoTarget, type Fleet, startFleet } from "../tests/fleet.ts";
import { newSeed, Random } from "../tests/random.ts";
import type { Target } from "./allow.ts";
import { withDeadline } from "./deadline.ts";
import { TakenTickets } from "./channel/tickets.ts";
import { Device } from "./device.ts";
import { Dialer, type DialerOptions } from "./dialer.ts";
import { superviseEndpoint } from "./endpoint.ts";
import { TunnelError } from "./errors.ts";
import { Verifier } from "./identity/credential.ts";
import type { Link } from "./link.ts";
import { SILENT } from "./log.ts";
import type { MemorySession } from "../transports/memory.ts";
import type { Supervisor } from "./supervisor.ts";
import { CloseCode } from "./transport.ts";

const test = suite("dialer");
const MIB = 1024 * 1024;
const soon = { backoff: { first: 1, cap: 20 } };

test("a channel outlives every session under it, at either end, with no byte lost or repeated", async () => {
  const random = new Random(newSeed());
  await using world = await startWorld();
  const channel = await world.dialer.dial("x", { port: 7 });
  const total = 8 * MIB;
  let over = false;
  const moving = Promise.all([pour(channel, 5, total), drain(channel, 5)]).finally(() =>
    over = true
  );
  let cuts = 0;
  for (; !over && cuts < 40; cuts++) {
    const { operator, device } = world;
    const cut = random.pick([[operator], [device], [operator, device]]);
    for (const links of cut) lose(await links.link(5_000));
    const resumed = await Promise.all([operator.link(5_000), device.link(5_000)]);
    await bounded("the links", Promise.all(resumed.map((link) => link.ping().catch(() => {}))));
  }
  const [, received] = await bounded("the transfer", moving);
  assert.is(received, total);
  assert.ok(cuts > 3, `only ${cuts} cuts`);
  await bounded("the end", channel.closed);
});

test("a channel moves to a better link while it is well, and the one before ends", async () => {
  const moved = Promise.withResolvers<void>();
  const info = (what: string) => what === "channel resumed" && moved.resolve();
  await using world = await startWorld({ log: { ...SILENT, info } });
  const channel = await world.dialer.dial("x", { port: 7 });
  const total = 4 * MIB;
  const sent = pour(channel, 6, total);
  const old = await world.operator.link(5_000);
  world.dialer.move(await world.openOperator());
  await bounded("the move", moved.promise);
  lose(old);
  // Read only now: nothing is over before it has moved.
  assert.is(await bounded("the transfer", drain(channel, 6)), total);
  await sent;
  await bounded("the end", channel.closed);
});

test("a device leaves a link: its channels come again, with no byte lost or repeated", async () => {
  const moved = Promise.withResolvers<void>();
  const info = (what: string) => what === "channel resumed" && moved.resolve();
  await using world = await startWorld({ log: { ...SILENT, info } });
  const channel = await world.dialer.dial("x", { port: 7 });
  await channel.write(Uint8Array.of(1));
  await bounded("the first byte", channel.read());
  const total = 4 * MIB;
  const sent = pour(channel, 7, total);
  world.served.leave(await world.operator.link(5_000)); // No channel of the device's is on it.
  assert.ok(channel.path);
  world.served.leave(await world.device.link(5_000));
  await bounded("the move", moved.promise);
  // Read only now: nothing is over before it has moved.
  assert.is(await bounded("the transfer", drain(channel, 7)), total);
  await sent;
  await bounded("the end", channel.closed);
});

test("an attach is one dial and its answer: one round trip, whatever the channel had under way", async () => {
  await using world = await startWorld();
  const channel = await world.dialer.dial("x", { port: 7 });
  await channel.write(Uint8Array.of(1));
  await channel.read();
  const better = await world.openOperator();
  const asked: string[] = [];
  const { openStream } = better.session;
  better.session.openStream = async (options) => {
    asked.push("stream");
    const { readable, writable } = await openStream.call(better.session, options);
    const writer = writable.getWriter();
    const write = (chunk: Uint8Array) => (asked.push("write"), writer.write(chunk));
    return { readable, writable: new WritableStream({ write, close: () => writer.close() }) };
  };
  better.peer = () => Promise.reject(new Error("the device is known"));
  const attach = channel.attach.bind(channel);
  const attached = new Promise<string[]>((resolve) => {
    channel.attach = (...args) => {
      resolve([...asked]);
      attach(...args);
    };
  });
  world.dialer.move(better);
  assert.equal(await bounded("the attach", attached), ["stream", "write"]);
  await channel.write(Uint8Array.of(2));
  assert.equal([...(await bounded("an echo", channel.read()))!], [2]);
});

test("a dial that a silent relay has swallowed is made again on the next session", async () => {
  await using world = await startWorld();
  const [silent, next] = [await world.openOperator(), await world.openOperator()];
  const start = (controller: ReadableStreamDefaultController) =>
    void silent.session.closed.then(() => controller.error(new Error("it was closed")));
  silent.session.openStream = () =>
    Promise.resolve({ readable: new ReadableStream({ start }), writable: new WritableStream() });
  const { request, hear } = silent;
  silent.request = (asked, options) =>
    asked.type === "ping"
      ? withDeadline({ action: "ping", timeout: options!.timeout! }, () => new Promise(() => {}))
      : request.call(silent, asked, options);
  silent.hear = (said) => hear.call(silent, said, { after: 5, patience: 10 }) as typeof said;
  const links = [silent, next];
  const dialer = await world.fleet.dialer({ link: () => Promise.resolve(links.shift() ?? next) });
  const channel = await bounded("the dial", dialer.dial("x", { port: 7 }));
  await channel.write(Uint8Array.of(1));
  assert.equal([...(await bounded("an echo", channel.read()))!], [1]);
  assert.is((await silent.closed).code, CloseCode.timeout);
  await dialer.close();
});

test("without another path the channel is reset when its window is over, at both ends", async () => {
  await using world = await startWorld({ resumeWindow: 50 }, 50);
  const target = Promise.withResolvers<TunnelError>();
  world.target.reset = target.resolve;
  const channel = await world.dialer.dial("x", { port: 7 });
  await channel.write(Uint8Array.of(1));
  await channel.read();
  world.stopOperator();
  lose(await world.device.link(5_000));
  const error = await bounded("the channel's end", failureOf(channel.closed));
  assert.match(error.message, /the path to x was lost, and no other came within 0.05 s/);
  assert.match((await bounded("the target's end", target.promise)).message, /did not come back/);
});

test("a device that has started anew knows no channel of before, and says so at once", async () => {
  await using world = await startWorld();
  const channel = await world.dialer.dial("x", { port: 7 });
  await channel.write(Uint8Array.of(1));
  await channel.read();
  await world.restartDevice();
  const error = await bounded("the channel's end", failureOf(channel.closed));
  assert.is(error.code, "gone");
  // What the dialer knew of the device is of before too, and is learned anew.
  const again = await bounded("a new dial", world.dialer.dial("x", { port: 7 }));
  await again.write(Uint8Array.of(2));
  assert.equal([...(await again.read())!], [2]);
});

test("a dial soon after another agrees on no keys, and on all where the device has forgotten it", async () => {
  await using world = await startWorld();
  const { find } = TakenTickets.prototype;
  const taken: boolean[] = [];
  let forgetful = false;
  TakenTickets.prototype.find = function (...args) {
    const found = forgetful ? undefined : find.apply(this, args);
    taken.push(found !== undefined);
    return found;
  };
  try {
    const echo = async (byte: number) => {
      const channel = await world.dialer.dial("x", { port: 7 });
      await channel.write(Uint8Array.of(byte));
      assert.equal([...(await bounded("an echo", channel.read()))!], [byte]);
      return channel;
    };
    await echo(1);
    const short = await echo(2);
    assert.equal(taken, [false, true]);
    // A channel that was opened so is resumed like any other.
    lose(await world.device.link(5_000));
    await short.write(Uint8Array.of(3));
    assert.equal([...(await bounded("an echo", short.read()))!], [3]);
    forgetful = true;
    await echo(4);
    forgetful = false;
    await echo(5);
    assert.is(taken.at(-1), true);
    assert.is(
      await failureOf(world.dialer.dial("x", { port: 8 })).then(({ code }) => code),
      "target",
    );
  } finally {
    TakenTickets.prototype.find = find;
  }
});

test("what is allowed is checked again when a channel is attached again", async () => {
  await using world = await startWorld();
  const channel = await world.dialer.dial("x", { port: 7 });
  await channel.write(Uint8Array.of(1));
  await channel.read();
  world.allow.splice(0);
  lose(await world.operator.link(5_000));
  assert.is((await bounded("the channel's end", failureOf(channel.closed))).code, "target");
});

test("closing resets every channel and tells the device", async () => {
  await using world = await startWorld();
  const reset = Promise.withResolvers<TunnelError>();
  world.target.reset = reset.resolve;
  const channel = await world.dialer.dial("x", { port: 7 });
  await channel.write(Uint8Array.of(1));
  await channel.read();
  await bounded("closing", world.dialer.close());
  assert.match((await bounded("the target", reset.promise)).message, /reset it: it was closed/);
  assert.is(world.dialer.size, 0);
});

test("a device's end resets its channels", async () => {
  await using world = await startWorld();
  const channel = await world.dialer.dial("x", { port: 7 });
  await channel.write(Uint8Array.of(1));
  await channel.read();
  await bounded("closing", world.served.close());
  assert.match((await failureOf(channel.closed)).message, /the device is shutting down/);
});

test("a device that closes waits for no target", async () => {
  await using fleet = await startFleet();
  const reaching = Promise.withResolvers<AbortSignal>();
  const never = (_: unknown, signal: AbortSignal) => {
    reaching.resolve(signal);
    return new Promise<never>(() => {});
  };
  await fleet.device("x", { connect: never });
  const dialling = failureOf(fleet.dial(await fleet.operator(), "x", { port: 7 }));
  const signal = await bounded("the target", reaching.promise);
  await bounded("closing", fleet.devices[0]!.close());
  assert.ok(signal.aborted);
  const { code, message } = await bounded("the dial", dialling);
  assert.is(code, "target");
  assert.match(message, /the device is shutting down/);
});

test("a relay that shows another's credential, or another fleet's, is not believed", async () => {
  await using fleet = await startFleet();
  await using other = await startFleet();
  await fleet.device("x");
  await fleet.device("y");
  await other.device("x");
  const operator = await fleet.operator();
  const lie = async (said: Promise<Link>, device: string) => {
    const link = await said;
    const dialer = await fleet.dialer(operator);
    operator.peer = () => link.peer(device);
    return await failureOf(dialer.dial("x", { port: 7 }));
  };
  const { peer } = operator;
  const truth = Object.assign(Object.create(operator) as Link, { peer: peer.bind(operator) });
  assert.match((await lie(Promise.resolve(truth), "y")).message, /credential of device y/);
  assert.match((await lie(other.operator(), "x")).message, /another fleet/);
});

test("a device's key may be held to what it was", async () => {
  await using fleet = await startFleet();
  await fleet.device("x");
  const seen: string[] = [];
  const dialer = await fleet.dialer(await fleet.operator(), {
    trust(device, key) {
      seen.push(device);
      throw new TunnelError("refused", { action: "check the key", state: `${key.x} is new` });
    },
  });
  assert.is((await failureOf(dialer.dial("x", { port: 7 }))).code, "refused");
  assert.equal(seen, ["x"]);
});

test.run();

/** A fleet with one device and one operator that come back whenever they are cut off. */
async function startWorld(options: Partial<DialerOptions> = {}, resumeWindow?: number) {
  const fleet = await startFleet();
  const stop = new AbortController();
  const allow: Target[] = [{ port: 7 }];
  const target: { reset?: (error: TunnelError) => void } = {};
  const deviceMember = await fleet.member("device", "x");
  const verifier = new Verifier(fleet.authority.publicJwk);
  const newDevice = () =>
    new Device({
      id: "x",
      identity: deviceMember.identity,
      verifier,
      allow,
      async connect() {
        const echo = await echoTarget();
        const reset = (error: TunnelError) => (target.reset?.(error), echo.reset(error));
        return { ...echo, reset };
      },
      log: SILENT,
      resumeWindow,
    });
  const started = [newDevice()];
  const common = {
    relay: fleet.url,
    connector: fleet.connector,
    agent: "test",
    log: SILENT,
    supervisor: soon,
  };
  const device = superviseEndpoint({
    ...common,
    claim: deviceMember.claim,
    epoch: () => started.at(-1)!.epoch,
    onUp: (link) => void started.at(-1)!.serve(link),
  });
  const operatorMember = await fleet.member("operator", "night-shift");
  const operator = superviseEndpoint({ ...common, claim: operatorMember.claim });
  const stopOperator = new AbortController();
  const running = [
    device.run(stop.signal),
    operator.run(AbortSignal.any([stop.signal, stopOperator.signal])),
  ];
  await Promise.all([device.link(5_000), operator.link(5_000)]);
  const dialer = new Dialer({
    links: operator,
    identity: operatorMember.identity,
    verifier,
    ...options,
  });
  return {
    fleet: fleet as Fleet,
    device: device as Supervisor,
    operator: operator as Supervisor,
    dialer,
    allow,
    target,
    get served() {
      return started.at(-1)!;
    },
    openOperator: () => fleet.operator(),
    stopOperator: () => stopOperator.abort(),
    async restartDevice() {
      started.push(newDevice());
      const before = await device.link(5_000);
      lose(before);
      await before.session.closed.catch(() => {});
      await device.link(5_000);
    },
    async [Symbol.asyncDispose]() {
      await dialer.close();
      for (const device of started) await device.close();
      stop.abort();
      await Promise.allSettled(running);
      await fleet[Symbol.asyncDispose]();
    },
  };
}

function lose(link: Link): void {
  (link.session as MemorySession).lose();
}
