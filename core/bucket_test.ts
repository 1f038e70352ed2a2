import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../tests/random.ts";
import { Bucket, recovery } from "./bucket.ts";

const test = suite("Bucket");

test("a burst passes at once, then as many as the rate says", () => {
  const { clock, bucket } = made({ perSecond: 2, burst: 3 });
  assert.equal(takes(bucket, 5), [true, true, true, false, false]);
  clock.at += 499;
  assert.is(bucket.take(), false);
  clock.at += 1;
  assert.equal(takes(bucket, 2), [true, false]);
  clock.at += 1_000;
  assert.equal(takes(bucket, 3), [true, true, false]);
});

test("a rest never gives more than the burst", () => {
  const { clock, bucket } = made({ perSecond: 100, burst: 2 });
  clock.at += 86_400_000;
  assert.equal(takes(bucket, 3), [true, true, false]);
});

test("the wait is how long it takes, and what was spent beyond has to come back first", () => {
  const { clock, bucket } = made({ perSecond: 10, burst: 10 });
  assert.is(bucket.wait(), 0);
  bucket.spend(30);
  assert.is(bucket.wait(), 2_100);
  clock.at += 2_099;
  assert.is(bucket.take(), false);
  clock.at += 1;
  assert.is(bucket.take(), true);
});

test("whatever the steps of the clock, no more pass than rate and burst allow", () => {
  const random = new Random(newSeed());
  const rate = { perSecond: 1 + random.below(50), burst: 1 + random.below(20) };
  const { clock, bucket } = made(rate);
  let passed = 0;
  for (let i = 0; i < 5_000; i++) {
    clock.at += random.below(40);
    if (bucket.take()) passed++;
    const most = rate.burst + rate.perSecond * clock.at / 1_000;
    assert.ok(passed <= most + 1e-3, `${passed} after ${clock.at} ms, ${most} are allowed`);
  }
  assert.ok(passed > rate.perSecond * clock.at / 1_000 * 0.4, `only ${passed} passed`);
});

test("after its recovery a bucket is full", () => {
  const rate = { perSecond: 3, burst: 7 };
  const { clock, bucket } = made(rate);
  bucket.spend(7);
  clock.at += recovery(rate);
  assert.is(bucket.wait(7), 0);
});

test.run();

function made(rate: { perSecond: number; burst: number }) {
  const clock = { at: 0 };
  return { clock, bucket: new Bucket(rate, () => clock.at) };
}

function takes(bucket: Bucket, times: number): boolean[] {
  return Array.from({ length: times }, () => bucket.take());
}
