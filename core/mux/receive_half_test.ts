import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MAX_CHUNK } from "./batch.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import { Flag } from "./frame.ts";
import { INITIAL_WINDOW, ReceiveHalf } from "./receive_half.ts";
import type { StreamPort } from "./stream.ts";
import { isCreditDue, MAX_WINDOW, WindowTuner } from "./window_tuner.ts";

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

test("a window of what is fast on a short way grows until credit is given for full messages", () => {
  const tuner = new WindowTuner(0);
  let window = INITIAL_WINDOW;
  for (let now = 4; now <= 40; now += 4) {
    tuner.blocked();
    window += tuner.growth(window, 4 * 150_000, 0.2, now);
  }
  assert.not(isCreditDue(window, MAX_CHUNK - 1));
  assert.ok(window < 1024 * 1024, `${window} bytes`);
});

test("a window stays on a short way that carries 100 Mbit/s", () => {
  const tuner = new WindowTuner(0);
  tuner.blocked();
  assert.is(tuner.growth(INITIAL_WINDOW, 4 * 12_500, 0.2, 4), 0);
});

for (const frame of [16_384, 65_000, MAX_CHUNK]) {
  test(`a window grows until a long way is full, with frames of ${frame} bytes`, () => {
    const rate = 12_500; // Bytes a millisecond: 100 Mbit/s.
    const moved = simulate({ frame, rate, roundTrip: 50, milliseconds: 2_000 });
    assert.ok(moved > 0.85 * rate, `${moved} bytes a millisecond`);
  });
}

test("credit is asked for once a quarter of a window was read, not when it came", async () => {
  let asked = 0;
  const half = new ReceiveHalf({ ...port(), scheduleControl: () => asked++ });
  const reader = half.readable.getReader();
  for (let i = 0; i < 8; i++) half.receive(0, new Uint8Array(INITIAL_WINDOW / 8));
  assert.is(asked, 0);
  await reader.read();
  assert.is(asked, 0);
  await reader.read();
  assert.is(asked, 1);
});

test("ChunkQueue gives back what went in, in order, for payloads and targets of every size", () => {
  const queue = new ChunkQueue();
  const sizes = [1, 2, 4_093, 1, 65_536, 3, 0, 5_000, 40_000, 65_537, 4_096, 1];
  const targets = [1, 70_000, 4_096, 65_536, 7];
  let next = 0;
  let expected = 0;
  const take = (length: number) => {
    const target = new Uint8Array(length);
    const moved = queue.take(target);
    for (const byte of target.subarray(0, moved)) assert.is(byte, expected++ & 0xff);
    return moved;
  };
  for (let round = 0; round < 30; round++) {
    for (const size of sizes) queue.push(new Uint8Array(size).map(() => next++));
    if (round % 3) take(targets[round % targets.length]!);
  }
  while (take(50_000) > 0);
  assert.is(expected, next);
  assert.ok(queue.empty);
});

test("ChunkQueue puts small payloads together", () => {
  const queue = new ChunkQueue();
  for (let i = 0; i < 10_000; i++) queue.push(new Uint8Array([i]));
  assert.is(queue.next, 4_096);
});

test("a reader with its own memory gets bytes, the end and an error like any other", async () => {
  const half = new ReceiveHalf(port());
  const reader = half.readable.getReader({ mode: "byob" });
  const waiting = reader.read(new Uint8Array(3));
  half.receive(0, new Uint8Array([1, 2, 3, 4, 5]));
  assert.equal([...(await waiting).value!], [1, 2, 3]);
  assert.equal([...(await reader.read(new Uint8Array(8))).value!], [4, 5]);
  const ending = reader.read(new Uint8Array(8));
  half.receive(Flag.end, new Uint8Array(0));
  assert.ok((await ending).done);
  assert.ok(half.done);
  const failing = new ReceiveHalf(port());
  const read = failing.readable.getReader({ mode: "byob" }).read(new Uint8Array(1));
  failing.reset(7);
  assert.match(await read.then(() => "bytes", (e) => e.message), /aborted it \(code 7\)/);
});

/** Bytes a millisecond in the second half of the time, for a reader that takes all at once. */
function simulate(
  way: { frame: number; rate: number; roundTrip: number; milliseconds: number },
): number {
  const { frame, rate, roundTrip, milliseconds } = way;
  const tuner = new WindowTuner(0);
  const events: { at: number; run: () => void }[] = [];
  const after = (at: number, run: () => void) => events.push({ at, run });
  let [now, free, window, credit, taken, late] = [0, 0, INITIAL_WINDOW, INITIAL_WINDOW, 0, 0];
  const arrived = (bytes: number, blocked: boolean) => {
    if (now > milliseconds / 2) late += bytes;
    if (blocked) tuner.blocked();
    taken += bytes;
    if (!isCreditDue(window, taken)) return;
    const growth = tuner.growth(window, taken, roundTrip, now);
    const more = taken + growth;
    window += growth;
    taken = 0;
    after(now + roundTrip / 2, () => send(more));
  };
  const send = (more: number) => {
    for (credit += more; credit > 0;) {
      const bytes = Math.min(frame, credit);
      credit -= bytes;
      free = Math.max(free, now) + bytes / rate;
      const blocked = credit === 0;
      after(free + roundTrip / 2, () => arrived(bytes, blocked));
    }
  };
  send(0);
  for (let next; now < milliseconds && (next = events.sort((a, b) => a.at - b.at).shift());) {
    now = next.at;
    next.run();
  }
  return late / (milliseconds / 2);
}

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
