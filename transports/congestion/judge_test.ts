import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../../tests/random.ts";
import { LossJudge, type Verdict } from "./judge.ts";

const test = suite("loss judge");

/** Milliseconds between packets, and of a round trip that nothing delays. */
const INTERVAL = 5;
const ROUND_TRIP = 50;
/** More packets than any judgement takes. */
const PLENTY = 20_000;
const WAYS = 100;

interface Way {
  /** The chance that a packet does not come back. */
  readonly loss: (number: number) => number;
  /** Milliseconds until it is back. */
  readonly took?: (number: number) => number;
}

test("packets that are lost at random, once in 50 round trips, make a way lossy", () => {
  const verdicts = judgeMany({ loss: () => 0.02 });
  assert.is(verdicts.filter(({ verdict }) => verdict === "lossy").length, WAYS);
  // 0.045 of the odds a packet on average, 3.4 to go.
  const packets = verdicts.map(({ packets }) => packets).sort((a, b) => a - b);
  assert.ok(packets[WAYS / 2]! < 400, `${packets[WAYS / 2]} packets`);
});

test("a long way that loses none is clean, after 3,000 packets", () => {
  assert.equal(judge({ loss: () => 0 }, new Random(1)), { verdict: "clean", packets: 3_009 });
});

test("a short way that loses none is clean, after 1,020 packets", () => {
  const way = { loss: () => 0, took: () => 10 };
  assert.equal(judge(way, new Random(1)), { verdict: "clean", packets: 1_022 });
});

test("one in 500 round trips makes a long way lossy, one in 1,000 leaves a short one as it is", () => {
  const share = (loss: number, took: number) =>
    judgeMany({ loss: () => loss, took: () => took })
      .filter(({ verdict }) => verdict === "lossy").length / WAYS;
  const [long, short] = [share(0.002, 150), share(0.001, 10)];
  assert.ok(long >= 0.75, `lossy: ${long} of the long ways`);
  assert.ok(short <= 0.2, `lossy: ${short} of the short ways`);
});

test("a way that loses one in 10,000 is clean, but for a few", () => {
  const verdicts = judgeMany({ loss: () => 0.000_1 });
  const lossy = verdicts.filter(({ verdict }) => verdict !== "clean").length;
  assert.ok(lossy <= WAYS / 8, `${lossy} of ${WAYS} are not clean`);
});

test("losses while a queue builds up do not count", () => {
  // A saw: the queue fills for 3 s, overflows, and is half empty again.
  const cycle = 300;
  const verdicts = judgeMany({
    loss: (number) => number % cycle > cycle - 10 ? 0.2 : 0,
    took: (number) => ROUND_TRIP * (1.2 + number % cycle / cycle),
  });
  assert.is(verdicts.filter(({ verdict }) => verdict === "lossy").length, 0);
});

test("a moment of darkness counts as one loss", () => {
  const dark = (number: number) => number > 200 && number < 700 ? 1 : 0;
  assert.is(judge({ loss: dark }, new Random(1)).verdict, "clean");
});

test("a near way is left alone, whatever it loses", () => {
  const { verdict, packets } = judge({ loss: () => 0.02, took: () => 2 }, new Random(newSeed()));
  assert.is(verdict, "near");
  assert.ok(packets < 40);
});

test("packets that nobody sent, or that come twice, change nothing", () => {
  const judge = new LossJudge();
  judge.sent(0, 0);
  for (let i = 0; i < 10_000; i++) judge.returned(i % 2, 50);
  assert.is(judge.verdict, undefined);
});

test("with nothing coming back it decides nothing", () => {
  assert.is(judge({ loss: () => 1 }, new Random(1)).verdict, undefined);
});

test.run();

interface Judged {
  readonly verdict: Verdict | undefined;
  /** Sent until then. */
  readonly packets: number;
}

function judgeMany(way: Way): Judged[] {
  const random = new Random(newSeed());
  return Array.from({ length: WAYS }, () => judge(way, random));
}

function judge({ loss, took = () => ROUND_TRIP }: Way, random: Random): Judged {
  const judge = new LossJudge();
  const underWay: { number: number; due: number }[] = [];
  for (let number = 0; number < PLENTY; number++) {
    const now = number * INTERVAL;
    while (underWay.length > 0 && underWay[0]!.due <= now) {
      const { number, due } = underWay.shift()!;
      judge.returned(number, due);
    }
    if (judge.verdict) return { verdict: judge.verdict, packets: number };
    judge.sent(number, now);
    const isLost = random.next() / 2 ** 32 < loss(number);
    if (!isLost) underWay.push({ number, due: now + took(number) });
  }
  return { verdict: judge.verdict, packets: PLENTY };
}
