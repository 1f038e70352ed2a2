import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WindowBudget } from "./budget.ts";
import { MAX_UNCONFIRMED, ReceiveSide } from "./receive.ts";

const test = suite("ReceiveSide");
const WINDOW = 1_000;

test("credit comes back as bytes are read, half a window at a time", async () => {
  const { side, limits } = receiveSide();
  for (let i = 0; i < 4; i++) side.push(side.position, new Uint8Array(250), false);
  assert.equal(limits, []);
  await side.read();
  assert.equal(limits, []);
  await side.read();
  assert.equal(limits, [WINDOW + 500]);
});

test("the window doubles when a blocked sender's bytes have all been read, up to its maximum", async () => {
  const { side } = receiveSide({ maxWindow: 3_000 });
  for (const expected of [2_000, 3_000, 3_000]) {
    const before = side.limit;
    side.push(side.position, new Uint8Array(before - side.position), true);
    await side.read();
    assert.is(side.limit, side.position + expected);
  }
});

test("a window does not grow for a reader that lags, nor for a sender that has credit", async () => {
  const { side } = receiveSide();
  side.push(side.position, new Uint8Array(500), false);
  await side.read();
  assert.is(side.limit, 500 + WINDOW);
  side.push(side.position, new Uint8Array(500), false);
  side.push(side.position, new Uint8Array(500), true);
  await side.read();
  assert.is(side.limit <= 1_000 + WINDOW, true);
});

test("a large window confirms what was read as often as a sender with little room needs", async () => {
  const { side, limits } = receiveSide({ maxWindow: 16 * 1024 * 1024 });
  while (side.limit - side.position < 8 * 1024 * 1024) {
    side.push(side.position, new Uint8Array(side.limit - side.position), true);
    await side.read();
  }
  for (let unconfirmed = 0, told = limits.length, i = 0; i < 100; i++) {
    side.push(side.position, new Uint8Array(60_000), false);
    await side.read();
    unconfirmed = limits.length > told ? 0 : unconfirmed + 60_000;
    told = limits.length;
    assert.ok(unconfirmed < MAX_UNCONFIRMED, `${unconfirmed} bytes`);
  }
});

test("windows grow within their common budget, and give back what they took", async () => {
  const budget = new WindowBudget(WINDOW);
  const first = receiveSide({ budget }).side;
  const second = receiveSide({ budget }).side;
  for (const side of [first, second]) {
    side.push(side.position, new Uint8Array(WINDOW), true);
    await side.read();
  }
  assert.is(first.limit, WINDOW + 2 * WINDOW);
  assert.is(second.limit, WINDOW + WINDOW);
  first.release();
  first.release();
  second.push(second.position, new Uint8Array(WINDOW), true);
  await second.read();
  assert.is(second.limit, 2 * WINDOW + 2 * WINDOW);
});

test.run();

function receiveSide(
  { maxWindow = 16_000, budget = new WindowBudget() }: {
    maxWindow?: number;
    budget?: WindowBudget;
  } = {},
) {
  const limits: number[] = [];
  const side: ReceiveSide = new ReceiveSide(
    WINDOW,
    maxWindow,
    budget,
    () => limits.push(side.limit),
  );
  return { side, limits };
}
