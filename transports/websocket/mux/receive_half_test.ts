import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Batch } from "./batch.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import { Flag } from "./frame.ts";
import { INITIAL_WINDOW, MAX_WINDOW, ReceiveHalf } from "./receive_half.ts";
import type { StreamPort } from "./stream.ts";

const test = suite("ReceiveHalf");

/** One window of data, read at once; answers what credit comes back for it. */
async function turnOver(half: ReceiveHalf, bytes: number, flags: number): Promise<number> {
  const reader = half.readable.getReader();
  half.receive(flags, new Uint8Array(bytes));
  await reader.read();
  reader.releaseLock();
  const batch = new Batch(0);
  half.emitControl(batch);
  const credit = batch.empty ? 0 : new DataView(batch.message.slice().buffer).getUint32(8);
  batch.release();
  return credit;
}

test("a window that holds the peer back doubles, up to its limit", async () => {
  const half = new ReceiveHalf(port({ roundTrip: Infinity }));
  let window = INITIAL_WINDOW;
  while (window < MAX_WINDOW) {
    assert.is(await turnOver(half, window, Flag.blocked), 2 * window);
    window *= 2;
  }
  assert.is(await turnOver(half, window, Flag.blocked), window);
});

test("a window stays when the peer was not held back", async () => {
  const half = new ReceiveHalf(port({ roundTrip: Infinity }));
  assert.is(await turnOver(half, INITIAL_WINDOW, 0), INITIAL_WINDOW);
});

test("a window stays when it outlasts the round trip", async () => {
  const half = new ReceiveHalf(port({ roundTrip: 0 }));
  assert.is(await turnOver(half, INITIAL_WINDOW, Flag.blocked), INITIAL_WINDOW);
});

test("windows grow no further than the session's share, and give it back at the end", async () => {
  const share = { left: 100_000 };
  const half = new ReceiveHalf(port({ roundTrip: Infinity, share }));
  assert.is(await turnOver(half, INITIAL_WINDOW, Flag.blocked), INITIAL_WINDOW + 100_000);
  assert.is(share.left, 0);
  half.reset(0);
  assert.is(share.left, 100_000);
});

test("credit is asked for once half a window was read, not when it came", async () => {
  let asked = 0;
  const half = new ReceiveHalf({ ...port({ roundTrip: 0 }), scheduleControl: () => asked++ });
  const reader = half.readable.getReader();
  for (let i = 0; i < 4; i++) half.receive(0, new Uint8Array(65_536));
  assert.is(asked, 0);
  await reader.read();
  assert.is(asked, 0);
  await reader.read();
  assert.is(asked, 1);
});

test("ChunkQueue gives back what went in, in order, for payloads of every size", () => {
  const queue = new ChunkQueue();
  const sizes = [1, 2, 4_093, 1, 65_536, 3, 0, 5_000, 4_096, 1];
  let next = 0;
  for (let round = 0; round < 30; round++) {
    for (const size of sizes) queue.push(new Uint8Array(size).map(() => next++));
    if (round % 3) queue.shift()?.forEach((byte) => assert.is(byte, expected++ & 0xff));
  }
  for (let bytes = queue.shift(); bytes; bytes = queue.shift()) {
    for (const byte of bytes) assert.is(byte, expected++ & 0xff);
  }
  assert.is(expected, next);
  assert.ok(queue.empty);
});

let expected = 0;

test("ChunkQueue puts small payloads together", () => {
  const queue = new ChunkQueue();
  for (let i = 0; i < 10_000; i++) queue.push(new Uint8Array([i]));
  let chunks = 0;
  while (queue.shift()) chunks++;
  assert.is(chunks, Math.ceil(10_000 / 4_096));
});

function port(
  { roundTrip, share = { left: Infinity } }: { roundTrip: number; share?: { left: number } },
): StreamPort {
  return {
    announced: true,
    announce: () => 1,
    halfDone: () => {},
    scheduleData: () => {},
    scheduleControl: () => {},
    roundTrip: () => roundTrip,
    takeGrowth: (bytes) => {
      const taken = Math.min(bytes, share.left);
      share.left -= taken;
      return taken;
    },
    giveGrowth: (bytes) => void (share.left += bytes),
  };
}

test.run();
