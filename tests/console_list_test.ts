/** The console's list with 5,000 devices: what it does is bounded, in work and not in time. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "./bounded.ts";
import { callPage, CHROMIUM, openPage } from "./chromium.ts";
import { testWith } from "./require.ts";

const test = suite("console: 5,000 devices");
const COUNT = 5_000;
/** Rows of 48 pixels in 700, and those beyond its ends. */
const MOST_ROWS = 40;

interface Counted {
  readonly renders: number;
  readonly rows: number;
  readonly elements: number;
  readonly first: string;
  readonly last: string;
}
type List = Record<string, (argument: number | string) => Counted & { history?: number }>;

testWith(
  test,
  [CHROMIUM],
  "rows that are seen are made, and no others, however many change",
  async () => {
    await using browser = await openPage(new URL("../web/test_list.tsx", import.meta.url));
    const call = (name: string, argument: number | string) =>
      bounded(name, callPage<List, string>(browser.page, name, argument));
    const filled = await call("fill", COUNT);
    assert.ok(filled.rows > 14 && filled.rows <= MOST_ROWS, `${filled.rows} rows`);
    assert.is(filled.first, "device-00000");
    assert.ok(filled.elements < 1_000, `${filled.elements} elements`);
    // 50,000 changes between two frames are one look at the list.
    const churned = await call("churn", 10);
    assert.ok(churned.renders <= 2, `${churned.renders} times`);
    assert.is(churned.rows, filled.rows);
    assert.is(churned.history, COUNT * 10_000);
    const middle = await call("scrollTo", 120_000);
    assert.ok(middle.rows <= MOST_ROWS, `${middle.rows} rows`);
    assert.ok(middle.first <= "device-02500" && middle.last > "device-02500");
    const end = await call("scrollTo", 10_000_000);
    assert.is(end.last, "device-04999");
    const found = await call("search", "04321");
    assert.equal([found.rows, found.first], [1, "device-04321"]);
    assert.is((await call("search", "")).elements, filled.elements);
  },
);

test.run();
