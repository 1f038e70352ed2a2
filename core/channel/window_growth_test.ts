import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Advice, WindowGrowth } from "./window_growth.ts";

const test = suite("window growth");
const MIB = 1024 * 1024;

/** A way with a rate and a shortest time, and a channel on it whose sender is always in a hurry. */
class Way {
  readonly growth = new WindowGrowth(() => this.#now);
  window = MIB;
  #now = 0;
  #position = 0;

  /** @param rate bytes in a millisecond @param roundTrip milliseconds */
  constructor(public rate: number, readonly roundTrip: number) {}

  /** One grant and its use; what that led to. */
  turn(): Advice {
    this.growth.granted(this.#position);
    this.#now += Math.max(this.roundTrip, this.window / this.rate);
    this.growth.received(++this.#position);
    const advice = this.growth.advise(this.window);
    if (advice === "grow") this.window *= 2;
    if (advice === "shrink") this.window /= 2;
    return advice;
  }

  turns(count: number): Advice[] {
    return Array.from({ length: count }, () => this.turn()).filter((advice) => advice !== "stay");
  }
}

test("a window grows until the way is full, and not beyond", () => {
  const way = new Way(130_000, 100); // 13 MB are on their way when it is full.
  assert.equal(way.turns(39), ["grow", "grow", "grow", "grow"]);
  assert.is(way.window, 16 * MIB);
  assert.equal(way.turns(1), ["grow"]);
  assert.equal(way.turns(8), ["shrink"]);
  assert.is(way.window, 16 * MIB);
});

test("a way that is full with little keeps its window, and is tried again ever more seldom", () => {
  const way = new Way(12_500, 0.3);
  const tried: number[] = [];
  for (let i = 0; i < 2_000; i++) {
    const advice = way.turn();
    if (advice === "grow") tried.push(i);
    assert.ok(way.window <= 2 * MIB);
  }
  const waits = tried.slice(1).map((at, i) => at - tried[i]!);
  assert.ok(waits.length >= 3 && waits.every((wait, i) => wait >= 64 * 2 ** i), `${waits}`);
});

test("a full way that is fast gets as much as passes in a moment, and no more", () => {
  const way = new Way(130_000, 0.3);
  way.turns(20);
  assert.is(way.window, 4 * MIB);
  const largest = Array.from({ length: 400 }, () => {
    way.turn();
    return way.window;
  });
  assert.is(Math.max(...largest), 8 * MIB);
  assert.is(way.window, 4 * MIB);
});

test("a way that has become wider is made use of", () => {
  const way = new Way(10_000, 50);
  way.turns(20);
  assert.is(way.window, MIB);
  way.rate = 1_000_000;
  way.turns(400);
  assert.ok(way.window > 16 * MIB);
});

test("below a megabyte it grows untried", () => {
  assert.is(new WindowGrowth(() => 0).advise(256 * 1024), "grow");
});

for (const [what, trip, isShort] of [["short", 2, true], ["long", 20, false]] as const) {
  test(`where trips of 20 ms may be waiting alone, a few with less show that the way is ${what}`, () => {
    let now = 0;
    const growth = new WindowGrowth(() => now);
    const go = (milliseconds: number, yields: boolean) => {
      growth.granted(now, yields);
      now += milliseconds;
      growth.received(now);
    };
    assert.not(growth.isShort);
    for (let i = 0; i < 20; i++) go(20, false);
    for (let i = 0; i < 8; i++) {
      assert.ok(growth.isShort);
      go(trip, true);
    }
    go(20, false);
    assert.is(growth.isShort, isShort);
  });
}

test("a way of 50 ms is long without a look", () => {
  let now = 0;
  const growth = new WindowGrowth(() => now);
  growth.granted(0);
  now = 50;
  growth.received(1);
  assert.not(growth.isShort);
});

test("on another way nothing counts of what was before", () => {
  const way = new Way(10_000, 50);
  way.turns(20);
  way.growth.forget();
  assert.equal(way.turns(8), ["grow"]);
});

test.run();
