import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SILENT } from "../core/log.ts";
import type { Author } from "../core/policy/change.ts";
import { bounded } from "../tests/bounded.ts";
import { keepPruned } from "./retention.ts";

const test = suite("retention");
const env = (name: string) => name === "USER" ? "root" : undefined;

test("old rows are forgotten again and again, in spite of a store that fails", async () => {
  const stop = new AbortController();
  const calls: [before: number, author: Author][] = [];
  const store = {
    pruneAudit(before: number, author: Author) {
      calls.push([before, author]);
      if (calls.length === 3) stop.abort();
      return calls.length === 1 ? Promise.reject(new Error("disk full")) : Promise.resolve(1);
    },
  };
  const errors: string[] = [];
  const log = { ...SILENT, error: (message: string) => errors.push(message) };
  const options = { keep: 60_000, interval: 1 };
  await bounded("three looks", keepPruned(store, options, { log, env }, stop.signal));
  assert.is(calls.length, 3);
  for (const [before, { by, at }] of calls) assert.equal([by, before], ["local:root", at - 60_000]);
  assert.equal(errors, ["the audit trail cannot be pruned"]);
});

test("a relay that ends at once is not held up", async () => {
  const store = { pruneAudit: () => Promise.resolve(0) };
  await bounded(
    "the end",
    keepPruned(store, { keep: 1 }, { log: SILENT, env }, AbortSignal.abort()),
  );
});

test.run();
