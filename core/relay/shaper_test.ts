import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { Leftovers } from "../../tests/leftovers.ts";
import { BLOCK } from "../blocks.ts";
import { delay } from "../deadline.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { type Clock, Shaper } from "./shaper.ts";

const KIB = 1024;

const test = suite("Shaper");

test("below the rate nothing waits", () => {
  const clock = new FakeClock();
  let waits = 0;
  const shaper = new Shaper(1_000 * KIB, () => waits++, clock);
  for (let i = 0; i < 1_000; i++) {
    assert.is(shaper.take(64), undefined);
    clock.at++;
  }
  assert.is(waits, 0);
});

test("what streams of many speeds pass is the rate, within a burst and a block", async () => {
  const random = new Random(newSeed());
  const clock = new FakeClock();
  const rate = 300 * KIB;
  const shaper = new Shaper(rate, undefined, clock);
  const streams = Array.from({ length: 20 }, () => new FakeStream(shaper, 1 + random.below(BLOCK)));
  for (const stream of streams) stream.run();
  await clock.advance(10_000);
  const passed = streams.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.ok(passed >= rate * 10, `${passed} bytes passed`);
  assert.ok(passed <= rate * 10 + Math.max(rate / 4, BLOCK) + BLOCK, `${passed} bytes passed`);
});

test("turns go round: no stream passes more blocks than another, however many ask at once", async () => {
  const clock = new FakeClock();
  const shaper = new Shaper(2_000 * KIB, undefined, clock);
  const streams = Array.from({ length: 7 }, () => new FakeStream(shaper, BLOCK));
  for (const stream of streams) stream.run();
  await clock.advance(5_000);
  const blocks = streams.map(({ bytes }) => bytes / BLOCK);
  assert.ok(Math.min(...blocks) > 10, blocks.join(" "));
  assert.ok(Math.max(...blocks) - Math.min(...blocks) <= 2, blocks.join(" "));
});

test("a newcomer waits for one block of each other stream and no longer", async () => {
  const clock = new FakeClock();
  const shaper = new Shaper(BLOCK, undefined, clock);
  const busy = Array.from({ length: 9 }, () => new FakeStream(shaper, BLOCK));
  for (const stream of busy) stream.run();
  await clock.advance(20_000);
  const before = busy.map(({ bytes }) => bytes);
  let after: number[] | undefined;
  shaper.take(100)!.then(() => after = busy.map(({ bytes }) => bytes));
  while (!after) await clock.advance(100);
  const passed = after.map((bytes, i) => bytes - before[i]!);
  assert.ok(passed.every((bytes) => bytes <= BLOCK), `${passed} bytes passed first`);
});

test("a signal ends the wait, and leaves neither listener nor timer", async () => {
  using left = new Leftovers();
  const shaper = new Shaper(1);
  assert.is(shaper.take(BLOCK), undefined); // The burst; what follows would take hours.
  const [first, second] = [new AbortController(), new AbortController()];
  const waits = [first, second].map(({ signal }) => failureOf(shaper.take(1, signal)!));
  first.abort();
  assert.is((await bounded("the first", waits[0]!)).code, "aborted");
  assert.is(left.timers, 1);
  second.abort();
  assert.is((await bounded("the second", waits[1]!)).code, "aborted");
  assert.is((await failureOf(shaper.take(1, AbortSignal.abort())!)).code, "aborted");
  assert.equal([left.listeners, left.timers], [0, 0]);
});

test.run();

/** Time that passes when the test says so. */
class FakeClock implements Clock {
  at = 0;
  readonly #due = new Set<{ at: number; work: () => void }>();

  now = () => this.at;

  after = (ms: number, work: () => void) => {
    const entry = { at: this.at + ms, work };
    this.#due.add(entry);
    return () => void this.#due.delete(entry);
  };

  async advance(ms: number): Promise<void> {
    const end = this.at + ms;
    for (;;) {
      // Whoever got a turn asks for the next one before time goes on.
      await delay(0);
      const [next] = [...this.#due].sort((a, b) => a.at - b.at);
      if (!next || next.at > end) break;
      this.#due.delete(next);
      this.at = Math.max(this.at, next.at);
      next.work();
    }
    this.at = end;
  }
}

/** Passes blocks of one size for as long as the shaper lets it. */
class FakeStream {
  bytes = 0;

  constructor(readonly shaper: Shaper, readonly size: number) {}

  async run(): Promise<void> {
    for (;;) {
      await this.shaper.take(this.size);
      this.bytes += this.size;
      await Promise.resolve();
      if (this.bytes > 1e9) throw new Error("nothing held it back");
    }
  }
}
