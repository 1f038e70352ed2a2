import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../errors.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { Batch, MAX_MESSAGE } from "./batch.ts";
import { decodeFrames, Flag, type FrameHandler, FrameType } from "./frame.ts";

const test = suite("mux frames");

test("decodeFrames gives back what Batch wrote, and in that order", () => {
  const batch = new Batch(16);
  batch.settings({ streams: 256, window: 262_144, idleTimeout: 8_000, restTimeout: 16_000 });
  batch.settings({ streams: 1, window: 0, idleTimeout: Infinity, restTimeout: Infinity });
  batch.data(1, Flag.open | Flag.blocked, new Uint8Array([1, 2, 3]));
  batch.data(0xfffffffe, Flag.end, new Uint8Array(0));
  batch.control(FrameType.reset, 3, 7);
  batch.control(FrameType.stop, 5, 0xffffffff);
  batch.control(FrameType.credit, 7, 65_536);
  batch.control(FrameType.streams, 0, 4);
  batch.control(FrameType.ping, 0, 10);
  batch.control(FrameType.pong, 0, 11);
  batch.close(2, "back at nine");
  assert.equal(decode(batch.message), [
    ["settings", { streams: 256, window: 262_144, idleTimeout: 8_000, restTimeout: 16_000 }],
    ["settings", { streams: 1, window: 0, idleTimeout: Infinity, restTimeout: Infinity }],
    ["data", 1, Flag.open | Flag.blocked, [1, 2, 3]],
    ["data", 0xfffffffe, Flag.end, []],
    ["reset", 3, 7],
    ["stop", 5, 0xffffffff],
    ["credit", 7, 65_536],
    ["streams", 4],
    ["ping", 10],
    ["pong", 11],
    ["closing", 2, "back at nine"],
  ]);
});

test("Batch lays frames out as the format says", () => {
  const batch = new Batch(0);
  batch.data(3, Flag.end, new Uint8Array([0xaa, 0xbb]));
  batch.control(FrameType.credit, 3, 0x01020304);
  assert.equal([...batch.message], [
    ...[0x41, 0, 0, 2, 0, 0, 0, 3, 0xaa, 0xbb],
    ...[0x04, 0, 0, 4, 0, 0, 0, 3, 1, 2, 3, 4],
  ]);
});

test("a message without data is made in little memory, and holds what a session at rest says", () => {
  const batch = new Batch(16, "brief");
  assert.ok(batch.message.buffer.byteLength < 4_096);
  batch.control(FrameType.ping, 0, 7);
  batch.control(FrameType.pong, 0, 8);
  assert.not(batch.full);
  batch.release();
  assert.ok(new Batch(16).message.buffer.byteLength > 100_000);
});

test("a reason is cut to 120 bytes, in front of a character", () => {
  const batch = new Batch(0);
  batch.close(0, "x".repeat(119) + "é and more");
  assert.equal(decode(batch.message), [["closing", 0, "x".repeat(119)]]);
});

test("what follows a CLOSE does not count", () => {
  const batch = new Batch(0);
  batch.close(0, "");
  batch.control(FrameType.ping, 0, 1);
  assert.equal(decode(batch.message), [["closing", 0, ""]]);
});

const BAD: Record<string, number[]> = {
  "a header cut off": [1, 0, 0],
  "a payload cut off": [1, 0, 0, 5, 0, 0, 0, 1, 9, 9],
  "DATA for stream 0": [1, 0, 0, 0, 0, 0, 0, 0],
  "an unknown type": [9, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0],
  "flags on a PING": [0x86, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0],
  "a PING for a stream": [6, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0],
  "a RESET for none": [2, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0],
  "a CREDIT of 3 bytes": [4, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0],
  "SETTINGS of 8 bytes": [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  "a CLOSE without a code": [8, 0, 0, 0, 0, 0, 0, 0],
  "a reason that is not UTF-8": [8, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0xff],
  "a reason of 121 bytes": [8, 0, 0, 125, 0, 0, 0, 0, ...new Array(125).fill(97)],
};

for (const [name, bytes] of Object.entries(BAD)) {
  test(`decodeFrames refuses ${name}`, () => {
    assert.throws(() => decode(new Uint8Array(bytes)), isProtocolError);
  });
}

test("decodeFrames throws nothing but a protocol error, whatever comes", () => {
  const random = new Random(newSeed());
  for (let round = 0; round < 20_000; round++) {
    const bytes = random.bytes(random.below(64));
    // Half of them get past the first checks, so that the later ones have something to do.
    if (round % 2 && bytes.length >= 8) {
      bytes[0] = random.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 0x41, 0x81, 0xe1]);
      bytes.set([0, 0, random.pick([0, 4, 4, 16, bytes.length - 8])], 1);
    }
    try {
      decode(bytes);
    } catch (error) {
      assert.ok(isProtocolError(error), `${error} for ${bytes}`);
    }
  }
});

test("Batch stays within a message however it is filled", () => {
  const random = new Random(newSeed());
  for (let round = 0; round < 200; round++) {
    const batch = new Batch(16);
    while (!batch.full) {
      if (random.below(2)) batch.control(FrameType.credit, 1, 1);
      else batch.data(1, 0, new Uint8Array(random.below(batch.room + 1)));
    }
    batch.control(FrameType.ping, 0, 1);
    assert.ok(batch.message.length <= MAX_MESSAGE, `${batch.message.length} bytes`);
    decode(batch.message);
    batch.release();
  }
});

function decode(message: Uint8Array): unknown[] {
  const frames: unknown[] = [];
  const handler = new Proxy({}, {
    get: (_, name) => (...values: unknown[]) =>
      void frames.push([
        name,
        ...values.map((value) => value instanceof Uint8Array ? [...value] : value),
      ]),
  });
  decodeFrames(message, handler as FrameHandler);
  return frames;
}

function isProtocolError(error: unknown): boolean {
  return error instanceof TunnelError && error.code === "protocol";
}

test.run();
