import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DEFAULT_BUDGET, WindowBudget } from "./budget.ts";
import { Company } from "./company.ts";
import { MAX_UNCONFIRMED, ReceiveSide } from "./receive.ts";
import { WindowGrowth } from "./window_growth.ts";

const test = suite("ReceiveSide");
const WINDOW = 1_000;
const MIB = 1024 * 1024;

test("credit comes back as bytes are read, a quarter of a window at a time", async () => {
  const { side, limits } = receiveSide();
  for (let i = 0; i < 4; i++) side.push(side.position, new Uint8Array(125), false);
  assert.equal(limits, []);
  await side.read();
  assert.equal(limits, []);
  await side.read();
  assert.equal(limits, [WINDOW + 250]);
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
  const growth = new WindowGrowth(() => 0);
  const { side, limits } = receiveSide({ maxWindow: 16 * MIB, growth });
  while (side.limit - side.position < 8 * MIB) {
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

test("a window that has gained nothing is what it was before, and so is the budget", async () => {
  let now = 0;
  const budget = new WindowBudget();
  const growth = new WindowGrowth(() => now);
  const { side } = receiveSide({ maxWindow: 16 * MIB, budget, growth });
  let most = 0;
  for (let i = 0; i < 80; i++) {
    const window = side.limit - side.position;
    most = Math.max(most, window);
    now += window; // Every byte waits for those in front of it.
    side.push(side.position, new Uint8Array(window), true);
    await side.read();
  }
  assert.ok(most > 3.5 * MIB, `at most ${most} bytes`);
  assert.ok(side.limit - side.position < 2 * MIB);
  side.release();
  assert.ok(budget.take(DEFAULT_BUDGET));
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

test("on a short way a channel in company has less than its first window, and the sender is told of all", async () => {
  let now = 0;
  const clock = () => now;
  const company = new Company(clock);
  const growth = new WindowGrowth(clock);
  const { side, limits } = receiveSide({ maxWindow: 4 * MIB, company, growth });
  const fill = async (bytes: number) => {
    now++;
    side.push(side.position, new Uint8Array(bytes), true);
    await side.read();
  };
  while (side.limit - side.position < 4 * MIB) await fill(side.limit - side.position);
  const typing = company.join();
  typing.spoke();
  const most = side.limit;
  let told = limits.length;
  for (let unconfirmed = 0; side.limit === most; unconfirmed += 64_000) {
    assert.ok(unconfirmed < MAX_UNCONFIRMED + 64_000, `${unconfirmed} bytes`);
    if (limits.length > told) [unconfirmed, told] = [0, limits.length];
    await fill(Math.min(64_000, side.limit - side.position));
  }
  assert.ok(side.limit - side.position <= WINDOW * 3 / 4, `${side.limit - side.position} bytes`);
  typing.leave();
  await fill(WINDOW / 2);
  assert.is(side.limit - side.position, 4 * MIB);
});

test("on a long way a channel in company has what it needs", async () => {
  let now = 0;
  const clock = () => now;
  const company = new Company(clock);
  const growth = new WindowGrowth(clock);
  const { side } = receiveSide({ maxWindow: MIB, company, growth });
  company.join().spoke();
  for (let i = 0; i < 20; i++) {
    now += 20;
    side.push(side.position, new Uint8Array(side.limit - side.position), true);
    await side.read();
  }
  assert.is(side.limit - side.position, MIB);
});

test.run();

function receiveSide(
  { maxWindow = 16_000, budget = new WindowBudget(), company = new Company(), growth }: {
    maxWindow?: number;
    budget?: WindowBudget;
    company?: Company;
    growth?: WindowGrowth;
  } = {},
) {
  const limits: number[] = [];
  const companion = company.join();
  const onGrant = () => limits.push(side.limit);
  const side: ReceiveSide = new ReceiveSide({
    ...{ window: WINDOW, maxWindow, budget, companion, onGrant, growth },
  });
  return { side, limits };
}
