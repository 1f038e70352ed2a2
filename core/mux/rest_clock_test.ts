import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { Leftovers } from "../../tests/leftovers.ts";
import { type Look, RestClock } from "./rest_clock.ts";

const test = suite("rest clock");

test("each is looked at when it is due, by one timer, until it is removed", async () => {
  using leftovers = new Leftovers();
  const round = 64;
  const began = performance.now();
  const done = Promise.withResolvers<void>();
  const seen: { at: number; due: number }[] = [];
  const looks = Array.from({ length: 50 }, (_, i): Look => {
    let times = 0;
    const look: Look = {
      dueAt: began + i,
      look() {
        const now = performance.now();
        seen.push({ at: now, due: look.dueAt });
        look.dueAt = now + round;
        if (++times === 2) RestClock.of(round).remove(look);
        if (seen.length === 100) done.resolve();
      },
    };
    return look;
  });
  for (const look of looks) RestClock.of(round).add(look);
  assert.is(leftovers.timers, 1);
  await bounded("all looks", done.promise);
  for (const { at, due } of seen) assert.ok(at >= due, `looked at ${due - at} ms early`);
  assert.is(leftovers.timers, 0);
});

test("those of another round have a clock of their own, and one that begins again goes again", async () => {
  const [short, long] = [RestClock.of(64), RestClock.of(128)];
  assert.is.not(short, long);
  for (let i = 0; i < 2; i++) {
    const looked = Promise.withResolvers<void>();
    const look: Look = { dueAt: 0, look: () => (look.dueAt = Infinity, looked.resolve()) };
    RestClock.of(64).add(look);
    await bounded("a look", looked.promise);
    RestClock.of(64).remove(look);
  }
});

test.run();
