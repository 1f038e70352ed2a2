import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failure } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { TunnelError } from "../errors.ts";
import { BENCH } from "../names.ts";
import { encodeOrder, MAX_BYTES, Order } from "./order.ts";
import { BenchTarget, withBench } from "./target.ts";

const test = suite("bench target");

test("echo gives back what comes, in order, to the end, the order cut anywhere", async () => {
  const random = new Random(newSeed());
  const sent = random.bytes(10_000);
  const input = new Uint8Array([...encodeOrder(Order.echo), ...sent]);
  const target = new BenchTarget();
  const writing = (async () => {
    const memory = new Uint8Array(700);
    for (let at = 0; at < input.length;) {
      const part = input.subarray(at, at + 1 + random.below(700));
      memory.set(part);
      await target.write(memory.subarray(0, part.length));
      memory.fill(0); // The target may hold nothing of it any more.
      at += part.length;
    }
    await target.closeWrite();
  })();
  const received = await bounded("the echo", readAll(target));
  await writing;
  assert.equal(received, sent);
});

test("an echo that nobody reads takes no second chunk", async () => {
  const target = new BenchTarget();
  await target.write(encodeOrder(Order.echo));
  let settled = false;
  const writing = target.write(new Uint8Array([7])).then(() => settled = true);
  assert.equal(await target.read(), new Uint8Array([7]));
  assert.not(settled);
  await target.closeWrite();
  assert.is(await target.read(), null);
  await bounded("the write", writing);
});

test("take answers with one byte when everything is there, and not before", async () => {
  const target = new BenchTarget();
  await target.write(encodeOrder(Order.take, 300_000));
  let answered = false;
  const answer = target.read().then((bytes) => (answered = true, bytes));
  for (let i = 0; i < 3; i++) {
    assert.not(answered);
    await target.write(new Uint8Array(100_000));
  }
  assert.equal(await bounded("the answer", answer), new Uint8Array(1));
  assert.is(await target.read(), null);
  await target.closeWrite();
});

test("give gives so many bytes and ends", async () => {
  const target = new BenchTarget();
  await target.write(encodeOrder(Order.give, 1_000_001));
  assert.is((await bounded("the bytes", readAll(target))).length, 1_000_001);
  assert.is(await target.read(), null);
});

const violations: [string, (target: BenchTarget) => Promise<void>, RegExp][] = [
  ["an unknown order", (t) => t.write(new Uint8Array(9).fill(3)), /no order 3/],
  ["more than 1 TiB", (t) => t.write(encodeOrder(Order.give, MAX_BYTES + 1)), /1 TiB/],
  ["an order that is cut off", async (t) => {
    await t.write(encodeOrder(Order.echo).subarray(0, 8));
    await t.closeWrite();
  }, /cut off/],
  ["more than was to be taken", async (t) => {
    await t.write(encodeOrder(Order.take, 10));
    await t.write(new Uint8Array(11));
  }, /more bytes/],
  ["less than was to be taken", async (t) => {
    await t.write(encodeOrder(Order.take, 10));
    await t.write(new Uint8Array(9));
    await t.closeWrite();
  }, /1 bytes early/],
  ["bytes to what gives", async (t) => {
    await t.write(encodeOrder(Order.give, 10));
    await t.write(new Uint8Array(1));
  }, /more bytes/],
];
for (const [what, work, pattern] of violations) {
  test(`${what} is a violation`, async () => {
    const error = await failure(() => work(new BenchTarget()));
    assert.is(error.code, "protocol");
    assert.match(error.message, pattern);
  });
}

test("a reset ends reads and writes that wait", async () => {
  const gone = new TunnelError("reset", { action: "test", state: "it was reset" });
  const echo = new BenchTarget();
  await echo.write(encodeOrder(Order.echo));
  const writing = failure(() => echo.write(new Uint8Array(1)));
  echo.reset(gone);
  assert.is(await writing, gone);
  const take = new BenchTarget();
  const reading = failure(() => take.read());
  take.reset(gone);
  assert.is(await bounded("the read", reading), gone);
  assert.is(await failure(() => take.write(new Uint8Array(1))), gone);
});

test("only bench is this target; all else goes where it went", async () => {
  const asked: string[] = [];
  const elsewhere = new BenchTarget();
  const connect = withBench(({ hostname, port }) => {
    asked.push(`${hostname}:${port}`);
    return Promise.resolve(elsewhere);
  });
  const { signal } = new AbortController();
  const dial = (hostname: string, port: number) => connect({ hostname, port }, signal, () => {});
  assert.is.not(await dial(BENCH.host, BENCH.port), elsewhere);
  assert.is(await dial(BENCH.host, 2), elsewhere);
  assert.is(await dial("127.0.0.1", 1), elsewhere);
  assert.equal(asked, [`${BENCH.host}:2`, "127.0.0.1:1"]);
});

test.run();

async function readAll(target: BenchTarget): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let chunk; (chunk = await target.read()) !== null;) parts.push(chunk.slice());
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
