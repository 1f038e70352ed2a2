import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ChunkQueue } from "./chunk_queue.ts";
import { INITIAL_WINDOW, ReceiveHalf } from "./receive_half.ts";
import type { StreamPort } from "./stream.ts";
import { MAX_WINDOW, WindowTuner } from "./window_tuner.ts";

const test = suite("mux receiving");

test("a window doubles each round trip while it holds the sender back, up to its limit", () => {
  const tuner = new WindowTuner(0);
  let window = INITIAL_WINDOW;
  for (let now = 50; window < MAX_WINDOW; now += 50) {
    tuner.blocked();
    const growth = tuner.growth(window, window, 50, now);
    assert.is(growth, window);
    window += growth;
  }
  tuner.blocked();
  assert.is(tuner.growth(window, window, 50, 1_000_000), 0);
});

test("a window stays when the sender was not held back", () => {
  assert.is(new WindowTuner(0).growth(INITIAL_WINDOW, INITIAL_WINDOW, 50, 50), 0);
});

test("a window stays when it outlasts the round trip twice", () => {
  const tuner = new WindowTuner(0);
  tuner.blocked();
  assert.is(tuner.growth(INITIAL_WINDOW, INITIAL_WINDOW, 50, 100), 0);
});

test("a window stays when a burst was read in less than a round trip", () => {
  const tuner = new WindowTuner(0);
  tuner.blocked();
  assert.is(tuner.growth(INITIAL_WINDOW, INITIAL_WINDOW, 50, 1), 0);
  assert.is(tuner.growth(INITIAL_WINDOW, INITIAL_WINDOW, 0.05, 3), 0);
});

test("credit is asked for once half a window was read, not when it came", async () => {
  let asked = 0;
  const half = new ReceiveHalf({ ...port(), scheduleControl: () => asked++ });
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

function port(): StreamPort {
  return {
    announced: true,
    announce: () => 1,
    halfDone: () => {},
    scheduleData: () => {},
    scheduleControl: () => {},
    roundTrip: () => 0,
    takeGrowth: () => 0,
    giveGrowth: () => {},
  };
}

test.run();
