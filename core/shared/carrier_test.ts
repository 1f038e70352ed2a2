import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { echoTarget } from "../../tests/fleet.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { bytes, text } from "../../tests/text.ts";
import type { Duplex } from "../duplex.ts";
import { TunnelError } from "../errors.ts";
import { SILENT } from "../log.ts";
import { encodeMessage } from "../message.ts";
import { bytesPair } from "../mux/test_bytes.ts";
import { Carrier } from "./carrier.ts";
import { Carriers } from "./carriers.ts";
import { serveShared } from "./serve.ts";
import { shareChannel } from "./session.ts";

const test = suite("carrier");
const random = new Random(newSeed());
const NEVER = 2 ** 30;

test("a channel without a connection ends by itself, one with a connection does not", async () => {
  const { channel, served } = device();
  const carrier = new Carrier(channel, { idleTime: 20 });
  await bounded("the device", carrier.ready);
  const connection = await carrier.open("test");
  await echo(connection, "hello");
  assert.is(await bounded("the end", served), 1);
  assert.ok(carrier.isOver);
  assert.not(carrier.hasRoom);
});

test("one that is retired takes no connection, and ends with its last", async () => {
  const { channel, served } = device();
  const carrier = new Carrier(channel, { idleTime: NEVER });
  await bounded("the device", carrier.ready);
  const connection = await carrier.open("test");
  carrier.retire();
  assert.not(carrier.hasRoom);
  await echo(connection, "still here");
  assert.is(await bounded("the end", served), 1);
});

test("no connection joins a bulky one, until that has ended", async () => {
  const { channel } = device();
  const carrier = new Carrier(channel, { idleTime: NEVER });
  await bounded("the device", carrier.ready);
  const bulky = await carrier.open("test");
  let heard = 0;
  const part = new Uint8Array(64 * 1024);
  for (let sent = 0; sent <= 128 * 1024; sent += part.length) {
    await bulky.write(part);
    while (heard < sent + part.length) heard += (await bounded("an echo", bulky.read()))!.length;
  }
  assert.not(carrier.hasRoom);
  bulky.reset(new TunnelError("reset", { action: "test", state: "enough" }));
  assert.ok(carrier.hasRoom);
  carrier.retire();
});

test("a channel that is lost takes its connections with it", async () => {
  const { channel } = device();
  const carrier = new Carrier(channel, { idleTime: NEVER });
  await bounded("the device", carrier.ready);
  const connection = await carrier.open("test");
  const reading = failureOf(connection.read());
  channel.reset(new TunnelError("refused", { action: "test", state: "the grant was revoked" }));
  assert.match((await bounded("the failure", reading)).message, /the grant was revoked/);
  assert.not(carrier.hasRoom);
});

const answers: [what: string, answer: Uint8Array, code: string, words: RegExp][] = [
  ["nothing", new Uint8Array(0), "protocol", /without a word/],
  ["what is no answer", Uint8Array.of(7), "protocol", /is none/],
  ["a refusal that is none", Uint8Array.of(1, 0, 0, 0, 1, 65), "protocol", /not JSON/],
  ["a refusal without an end", new Uint8Array(10_000).fill(1), "protocol", /too long/],
  [
    "a refusal",
    Uint8Array.of(1, ...encodeMessage({ type: "refused", code: "target", state: "it is off" })),
    "target",
    /^dial x: it is off$/,
  ],
];
for (const [what, answer, code, words] of answers) {
  test(`a device that answers ${what}`, async () => {
    const [near, far] = bytesPair(random);
    const session = shareChannel(far, "server", 8);
    const carrier = new Carrier(near, { idleTime: NEVER });
    await bounded("the device", carrier.ready);
    const connection = await carrier.open("dial x");
    const { value: stream } = await bounded("the stream", session.incoming.next());
    const writer = stream!.writable.getWriter();
    if (answer.length > 0) await writer.write(answer);
    await writer.close();
    const error = await bounded("the failure", failureOf(connection.read()));
    assert.is(error.code, code);
    assert.match(error.message, words);
    carrier.retire();
  });
}

test("the eighth within a second has a channel made, and it is made once", async () => {
  let now = 0;
  const made: string[] = [];
  const opened = Promise.withResolvers<Duplex>();
  const carriers = new Carriers(({ device, target, reason }) => {
    made.push(`${device} ${target.port} ${reason}`);
    return opened.promise;
  }, () => now);
  const wanted = { device: "x", target: { port: 7 }, reason: "4711" };
  for (let i = 0; i < 20; i++, now += 150) assert.is(carriers.take(wanted), undefined);
  assert.equal(made, []);
  for (let i = 0; i < 20; i++) carriers.take(wanted);
  for (const other of [{ ...wanted, reason: "4712" }, { ...wanted, target: { port: 8 } }]) {
    assert.is(carriers.take(other), undefined);
  }
  assert.equal(made, ["x 7 4711"]);
  opened.resolve(device().channel);
  let carrier: Carrier | undefined;
  while (!(carrier = carriers.take(wanted))) await new Promise((resolve) => setTimeout(resolve));
  assert.ok(carrier.hasRoom);
  assert.equal(made, ["x 7 4711"]);
  carrier.retire();
});

test("after a bulky connection those to its target share none for 10 s", async () => {
  let now = 0;
  const carriers = new Carriers(() => Promise.resolve(device().channel), () => now);
  const wanted = { device: "x", target: { port: 7 } };
  const shared = async () => {
    for (let i = 0; i < 100; i++) {
      const carrier = carriers.take(wanted);
      if (carrier) return carrier;
      await new Promise((resolve) => setTimeout(resolve));
    }
  };
  carriers.ended(wanted, 1_000_000);
  assert.is(await shared(), undefined);
  now = 10_000;
  carriers.ended(wanted, 1_000);
  const carrier = (await shared())!;
  const bulky = await carrier.open("test");
  const reading = (async () => {
    for (let left = 512 * 1024; left > 0;) left -= (await bulky.read())!.length;
  })();
  for (let i = 0; i < 8; i++) await bulky.write(new Uint8Array(64 * 1024));
  await bounded("the echo", reading);
  bulky.reset(new TunnelError("reset", { action: "test", state: "enough" }));
  assert.ok(carrier.hasRoom);
  assert.is(await shared(), undefined);
  now = 20_000;
  assert.is(await shared(), carrier);
  carrier.retire();
});

test("one that is refused is not asked for again, one that fails is", async () => {
  let made = 0;
  let answer: () => Promise<undefined> = () => Promise.reject(new Error("the relay is away"));
  const carriers = new Carriers(() => (made++, answer()));
  const wanted = { device: "x", target: { port: 7 } };
  const burst = async () => {
    for (let i = 0; i < 8; i++) carriers.take(wanted);
    await new Promise((resolve) => setTimeout(resolve));
  };
  await burst();
  await burst();
  assert.is(made, 2);
  answer = () => Promise.resolve(undefined);
  await burst();
  await burst();
  await burst();
  assert.is(made, 3);
});

/** A channel that a device serves with echoes, and how many it has served in the end. */
function device(): { channel: Duplex; served: Promise<number> } {
  const [channel, far] = bytesPair(random);
  const served = serveShared(far, { connections: 8, connect: echoTarget, log: SILENT, facts: {} });
  return { channel, served };
}

async function echo(connection: Duplex, said: string): Promise<void> {
  await connection.write(bytes(said));
  await connection.closeWrite();
  let heard = "";
  for (let part; (part = await bounded("an echo", connection.read()));) heard += text(part);
  assert.is(heard, said);
}

test.run();
