import { suite } from "uvu";
import * as assert from "uvu/assert";
import { median, percentile, ratio, spread } from "./statistics.ts";

const test = suite("bench statistics");

test("median: the middle of an odd number, the mean of the middle two of an even one", () => {
  assert.is(median([7]), 7);
  assert.is(median([30, 4, 5]), 5);
  assert.is(median([100, 1, 2, 4]), 3);
});

test("median sorts by number and leaves its argument alone", () => {
  const values = [10, 9, 100];
  assert.is(median(values), 10);
  assert.equal(values, [10, 9, 100]);
});

test("percentile is a value that occurred", () => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i);
  assert.is(percentile(values, 0.99), 198);
  assert.is(percentile(values, 0.5), 100);
  assert.is(percentile(values, 1), 200);
  assert.is(percentile([3, 5], 0.99), 5);
  assert.is(percentile([3, 5], 0.001), 3);
});

test("spread is the range over the median", () => {
  assert.is(spread([95, 105, 100]), 0.1);
  assert.is(spread([8]), 0);
  assert.is(spread([0, 0]), 0);
});

test("ratio is taken within rounds: a machine that slows down does not change it", () => {
  assert.is(ratio([50, 25, 5], [100, 50, 10]), 0.5);
  // The medians alone, 8 and 16, would say 0.5.
  assert.is(ratio([8, 1, 90], [16, 1, 90]), 1);
});

test("ratio leaves out rounds that one of the two did not finish", () => {
  assert.is(ratio([undefined, 3, 8], [1, undefined, 4]), 2);
  assert.is(ratio([1], [1, 1000]), 1);
  assert.is(ratio([undefined, 1], [1, undefined]), undefined);
  assert.is(ratio([], []), undefined);
});

test("no values have no median and no percentile", () => {
  assert.throws(() => median([]), (error: unknown) => error instanceof RangeError);
  assert.throws(() => percentile([], 0.5), (error: unknown) => error instanceof RangeError);
});

test.run();
