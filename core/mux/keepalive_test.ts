import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { delay } from "../deadline.ts";
import { Leftovers } from "../../tests/leftovers.ts";
import { Keepalive, type KeepaliveOptions } from "./keepalive.ts";

const test = suite("mux keepalive");

/** Runs until the peer counts as dead; `onAsk` may have it answer. */
async function untilDead(
  options: Pick<KeepaliveOptions, "keepAlive" | "idleTimeout" | "always"> & { atRest?: number },
  onAsk: (keepalive: Keepalive, asked: number) => void = () => {},
  from: "at rest" | "in use" = "at rest",
): Promise<{ asked: number; silence: number }> {
  const dead = Promise.withResolvers<number>();
  let asked = 0;
  const keepalive: Keepalive = new Keepalive({
    atRest: 1,
    ...options,
    ask: () => onAsk(keepalive, ++asked),
    dead: dead.resolve,
  });
  if (from === "in use") keepalive.rest(false);
  const silence = await bounded("death", dead.promise);
  return { asked, silence };
}

const answerThree = (keepalive: Keepalive, asked: number) => asked <= 3 && keepalive.received();

for (const always of [true, false]) {
  test(`a peer that answers lives, and is asked before it counts as dead (always: ${always})`, async () => {
    const options = { keepAlive: 30, idleTimeout: 100, always };
    const { asked, silence } = await untilDead(options, answerThree);
    assert.ok(asked > 3, `asked ${asked} times`);
    assert.ok(silence >= 100, `dead after ${silence} ms`);
  });
}

test("where no silence is too long the peer's bound alone counts", async () => {
  const dead = Promise.withResolvers<number>();
  const options = { keepAlive: Infinity, idleTimeout: Infinity, atRest: 1, always: true };
  using leftovers = new Leftovers();
  const keepalive = new Keepalive({ ...options, ask: () => {}, dead: dead.resolve });
  keepalive.limit(Infinity, Infinity);
  assert.is(leftovers.timers, 0);
  keepalive.limit(100, 100);
  assert.ok(await bounded("death", dead.promise) >= 100);
});

test("a bound beyond what a timer takes is waited for in parts, not at once", () => {
  const { setTimeout } = globalThis;
  const waits: number[] = [];
  const spy = (work: () => void, ms: number) => (waits.push(ms), setTimeout(work, ms));
  globalThis.setTimeout = spy as typeof setTimeout;
  try {
    const options = { keepAlive: Infinity, idleTimeout: 2 ** 32 - 2, atRest: 1, always: true };
    new Keepalive({ ...options, ask: () => {}, dead: () => {} }).stop();
    assert.equal(waits, [2 ** 31 - 1]);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

test("silence that was too short to ask at one look is not long enough for death at the next", async () => {
  const { asked } = await untilDead(
    { keepAlive: 70, idleTimeout: 100, always: false },
    // It answers late, so that the next look falls into the middle of a silence.
    (keepalive, asked) => asked <= 3 && setTimeout(() => keepalive.received(), 20),
  );
  assert.ok(asked > 3, `asked ${asked} times`);
});

test("an end that leaves it to its peer never asks, and notices its death", async () => {
  const options = { keepAlive: Infinity, idleTimeout: 100, always: true };
  const { asked, silence } = await untilDead(options);
  assert.is(asked, 0);
  assert.ok(silence >= 100, `dead after ${silence} ms`);
});

test("at rest a peer is asked as much more seldom, and has as much longer", async () => {
  const options = { keepAlive: 30, idleTimeout: 50, atRest: 4, always: false };
  const { asked, silence } = await untilDead(options);
  assert.ok(asked >= 1 && asked <= 2, `asked ${asked} times`);
  assert.ok(silence >= 200, `dead after ${silence} ms`);
});

test("at rest no round has a timer of its own, and a peer that answers late lives", async () => {
  const { setTimeout } = globalThis;
  let timers = 0;
  const spy = (work: () => void, ms: number) => {
    if (ms < 1_000) timers++; // The bound of the test is longer.
    return setTimeout(work, ms);
  };
  globalThis.setTimeout = spy as typeof setTimeout;
  try {
    const options = { keepAlive: 30, idleTimeout: 60, atRest: 2, always: false };
    const { asked } = await untilDead(options, (keepalive, asked) => {
      // Behind a look, which then sees the silence before it too.
      if (asked <= 4) setTimeout(() => keepalive.received(), 35);
    });
    assert.ok(asked > 4, `asked ${asked} times`);
    assert.is(timers, 0);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

test("a peer that rests again has its time again", async () => {
  const options = { keepAlive: Infinity, idleTimeout: 50, atRest: 4, always: false };
  const { silence } = await untilDead(options, (keepalive) => keepalive.rest(true), "in use");
  assert.ok(silence >= 200, `dead after ${silence} ms`);
});

test("in use after a long silence it asks at once, and the peer has its time from then", async () => {
  const dead = Promise.withResolvers<number>();
  let asked = 0;
  const keepalive = new Keepalive({
    ...{ keepAlive: 40, idleTimeout: 100, atRest: 1_000, always: false },
    ask: () => asked++,
    dead: dead.resolve,
  });
  await delay(60);
  keepalive.rest(false);
  const since = performance.now();
  assert.is(asked, 1);
  await bounded("death", dead.promise);
  assert.ok(performance.now() - since >= 99, "it had less than its time");
});

test("in use after a short silence it asks before that is too long", async () => {
  const dead = Promise.withResolvers<number>();
  let asked = 0;
  const keepalive = new Keepalive({
    ...{ keepAlive: 60, idleTimeout: 100, atRest: 10, always: false },
    ask: () => asked++,
    dead: dead.resolve,
  });
  await delay(45);
  keepalive.rest(false);
  await bounded("death", dead.promise);
  assert.ok(asked >= 1, "it was not asked");
});

test("in use it asks even where it leaves that to its peer, which may rest already", async () => {
  const options = { keepAlive: Infinity, idleTimeout: 100, atRest: 2, always: false };
  const { asked } = await untilDead(options, () => {}, "in use");
  assert.ok(asked >= 1);
});

test.run();
