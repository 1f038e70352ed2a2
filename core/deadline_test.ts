import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { withDeadline } from "./deadline.ts";

const test = suite("deadline");

test("work that is given more time has it, and the error says how much", async () => {
  const working = withDeadline({ action: "wait", timeout: 3_600_000 }, (_, extend) => {
    extend(20);
    return new Promise(() => {});
  });
  const error = await bounded("the end", failureOf(working));
  assert.is(error.message, "wait: no answer within 20 ms");
});

test("the time before does not count any more", async () => {
  const done = withDeadline({ action: "wait", timeout: 20 }, async (signal, extend) => {
    extend(3_600_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    return signal.aborted;
  });
  assert.is(await bounded("the work", done), false);
});

test("work that nobody waits for any more gets no more time, and holds up no process", async () => {
  const late = Promise.withResolvers<void>();
  const extended = Promise.withResolvers<void>();
  const working = withDeadline({ action: "wait", timeout: 10 }, async (_, extend) => {
    await late.promise;
    extend(3_600_000);
    extended.resolve();
  });
  assert.is((await failureOf(working)).code, "timeout");
  late.resolve();
  await extended.promise;
  // A timer that was left behind would keep this file from ending.
});

test.run();
