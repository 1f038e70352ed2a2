import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failure } from "../../tests/failure.ts";
import { SILENT } from "../log.ts";
import type { AuditEvent } from "../policy/audit.ts";
import { AuditLog, type AuditLogOptions } from "./audit_log.ts";

const test = suite("relay: audit log");

test("events are written in their order, in few groups, and none is left behind", async () => {
  const { log, written } = makeLog({ gather: 0 });
  let last = 0;
  for (; last < 2_000; last++) {
    log.record({ type: "dial", took: last });
    // Now and then a group is on its way meanwhile, or has just been written.
    if (last % 150 === 0) await new Promise((resolve) => setTimeout(resolve, last % 4));
  }
  await bounded("the last", log.close());
  assert.equal(written.flat().map(({ took }) => took), Array.from({ length: last }, (_, i) => i));
  assert.ok(written.length < 60, `${written.length} groups`);
  assert.ok(written.every((group) => group.length <= 500));
  assert.ok(written.flat().every(({ at }) => at === 7));
});

test("an event that comes when the writer has just finished is written too", async () => {
  const { log, written } = makeLog({ gather: 0 });
  for (let i = 0; i < 20; i++) {
    log.record({ type: "dial", took: i });
    while (log.waiting > 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert.is(written.flat().length, 20);
});

test("a store that fails is tried again, and meanwhile a limit holds", async () => {
  let failing = true;
  const failed = Promise.withResolvers<void>();
  const { log, written } = makeLog({ gather: 0, maxWaiting: 3 }, () => {
    if (failing) failed.resolve();
    return failing;
  });
  for (let i = 0; i < 3; i++) log.record({ type: "dial", took: i });
  await bounded("the failure", failed.promise);
  const error = await failure(() => log.record({ type: "dial", took: 9 }));
  assert.is(error.code, "unavailable");
  assert.is((await failure(() => log.check())).code, "unavailable");
  failing = false;
  await bounded("the end", log.close());
  assert.equal(written.flat().map(({ took }) => took), [0, 1, 2]);
});

test("what cannot be written at the end is reported, not waited for", async () => {
  const errors: unknown[] = [];
  const error = (_: string, fields?: unknown) => void errors.push(fields);
  const { log } = makeLog({ gather: 0, log: { ...SILENT, error } }, () => true);
  log.record({ type: "dial" });
  await bounded("the end", log.close());
  assert.equal(errors.at(-1), { lost: 1 });
});

test.run();

/** @param fails whether the store does, asked at every write */
function makeLog(options: Partial<AuditLogOptions>, fails: () => boolean = () => false) {
  const written: AuditEvent[][] = [];
  const record = async (events: readonly AuditEvent[]) => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (fails()) throw new Error("no space left");
    written.push([...events]);
  };
  const log = new AuditLog({ store: { record }, log: SILENT, now: () => 7, ...options });
  return { log, written };
}
