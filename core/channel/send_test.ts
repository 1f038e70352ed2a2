import { suite } from "uvu";
import * as assert from "uvu/assert";
import { concat } from "../bytes.ts";
import { TunnelError } from "../errors.ts";
import { failure, failureOf } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { MAX_DATA } from "./record.ts";
import { ReplayBuffer } from "./replay.ts";
import { SendSide } from "./send.ts";

const test = suite("channel sending");
const WINDOW = 2 * MAX_DATA - 1_000;

test("ReplayBuffer gives back any bytes that it holds, whatever the sizes", () => {
  const random = new Random(newSeed());
  const buffer = new ReplayBuffer();
  const sent = new Uint8Array(3_000_000).map(() => random.next());
  for (let at = 0; at < sent.length;) {
    const length = Math.min(sent.length - at, random.below(random.below(3) ? 300 : 150_000));
    buffer.append(sent.subarray(at, at + length));
    at += length;
    if (random.below(3) === 0) {
      buffer.release(buffer.start + random.below(buffer.end - buffer.start + 1));
    }
    const held = buffer.end - buffer.start;
    if (held === 0) continue;
    const from = buffer.start + random.below(held);
    const most = 1 + random.below(Math.min(buffer.end - from, 70_000));
    assert.equal(concat(buffer.slice(from, most)), sent.subarray(from, from + most));
  }
});

test("bytes go out once, up to the credit, and the last of it is marked", async () => {
  const side = sendSide();
  await side.write(new Uint8Array(WINDOW - 1));
  assert.is(take(side), MAX_DATA);
  assert.is(take(side), WINDOW - 1 - MAX_DATA);
  assert.is(side.next(), undefined);
  await side.write(new Uint8Array(5));
  assert.is(side.next()!.blocked, true);
  assert.is(side.next(), undefined);
  side.acknowledged(0, WINDOW + 100);
  assert.is(take(side), 4);
});

test("a writer waits for room and goes on when there is some", async () => {
  const side = sendSide();
  let taken = 0;
  const writing = (async () => {
    for (let i = 0; i < 6; i++) {
      await side.write(new Uint8Array(MAX_DATA));
      taken++;
    }
  })();
  await settle();
  assert.is(taken, 2);
  side.next();
  await settle();
  assert.is(taken, 3);
  side.acknowledged(0, 10 * MAX_DATA);
  while (side.next()) await settle();
  await writing;
});

test("what was not acknowledged is held within the limit, and sent again after a rewind", async () => {
  const side = new SendSide(10 * WINDOW, WINDOW, () => {});
  const writing = side.write(new Uint8Array(3 * WINDOW));
  let sent = 0;
  for (let out; (out = side.next()); sent = out.position + length(out)) await settle();
  assert.ok(sent >= WINDOW && sent < WINDOW + 2 * MAX_DATA, `${sent} bytes`);
  side.rewind(10);
  assert.is(side.next()!.position, 10);
  side.acknowledged(sent, 10 * WINDOW);
  await settle();
  for (let out; (out = side.next()); await settle()) side.acknowledged(out.position, 10 * WINDOW);
  await writing;
});

test("the end follows everything, once a path, and counts when it is acknowledged", async () => {
  const side = sendSide();
  await side.write(new Uint8Array(3));
  side.end();
  assert.is(side.takeEnd(), false);
  side.next();
  assert.is(side.takeEnd(), true);
  assert.is(side.takeEnd(), false);
  side.acknowledged(3, WINDOW);
  assert.is(side.finished, false);
  side.rewind(3);
  assert.is(side.takeEnd(), true);
  side.acknowledged(4, WINDOW);
  assert.is(side.finished, true);
  side.rewind(4);
  assert.is(side.takeEnd(), false);
});

const impossible: [string, (side: SendSide) => void][] = [
  ["an ACK of what was not sent", (side) => side.acknowledged(4, WINDOW)],
  ["an ACK of an end that was not sent", (side) => (side.next(), side.acknowledged(4, WINDOW))],
  ["credit taken back", (side) => side.acknowledged(0, WINDOW - 1)],
  ["an attach from what was not sent", (side) => side.rewind(1)],
];
for (const [what, act] of impossible) {
  test(`${what} is a protocol error`, async () => {
    const side = sendSide();
    await side.write(new Uint8Array(3));
    assert.is((await failure(() => act(side))).code, "protocol");
  });
}

test("a failure reaches who waits and who comes later", async () => {
  const side = sendSide();
  const waiting = failureOf(side.write(new Uint8Array(5 * MAX_DATA)));
  side.fail(new TunnelError("reset", { action: "test", state: "over" }));
  assert.is((await waiting).code, "reset");
  assert.is((await failureOf(side.write(new Uint8Array(1)))).code, "reset");
  assert.is(side.next(), undefined);
});

function sendSide(): SendSide {
  return new SendSide(WINDOW, undefined, () => {});
}

function take(side: SendSide): number {
  return length(side.next()!);
}

function length({ parts }: { parts: readonly Uint8Array[] }): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** Lets everything happen that needs no event from outside. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

test.run();
