import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Company } from "./company.ts";

const test = suite("company");

/** Longer than a pause in typing. */
const LONG = 5_001;

function company(channels: number) {
  const clock = { now: 0 };
  const company = new Company(() => clock.now);
  return { clock, all: Array.from({ length: channels }, () => company.join()) };
}

test("a channel is no company to itself", () => {
  const { all: [only] } = company(1);
  only!.spoke();
  assert.not(only!.hasCompany);
});

test("a channel that speaks is company to every other, until it has been silent for long", () => {
  const { clock, all: [typing, bulk, idle] } = company(3);
  typing!.spoke();
  assert.ok(bulk!.hasCompany);
  assert.ok(idle!.hasCompany);
  clock.now = LONG;
  assert.not(bulk!.hasCompany);
  typing!.spoke();
  assert.ok(bulk!.hasCompany);
});

test("a channel that uses its credit up is no company, until it has not done so for long", () => {
  const { clock, all: [one, other] } = company(2);
  one!.spoke();
  one!.filled();
  assert.not(other!.hasCompany);
  clock.now = LONG;
  one!.spoke();
  assert.ok(other!.hasCompany);
});

test("what speaks much does not hide what speaks little", () => {
  const { all: [typing, one, other] } = company(3);
  for (const bulk of [one!, other!]) bulk.filled();
  typing!.spoke();
  for (let i = 0; i < 10; i++) for (const bulk of [one!, other!]) bulk.spoke();
  assert.ok(one!.hasCompany);
  assert.ok(other!.hasCompany);
  assert.not(typing!.hasCompany);
});

test("a channel that has left is company no more", () => {
  const { all: [gone, stays, bulk] } = company(3);
  stays!.spoke();
  gone!.spoke();
  gone!.leave();
  assert.ok(bulk!.hasCompany);
  stays!.leave();
  assert.not(bulk!.hasCompany);
});

test.run();
