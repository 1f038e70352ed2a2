import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Running } from "../tests/processes.ts";
import { family, isRunning, keepFamily } from "./family.ts";

const test = suite("family");

const LINUX = Deno.build.os === "linux";
if (!LINUX) console.log("skipped: family (Linux only)");
const onLinux = LINUX ? test : test.skip;

onLinux("a process and all that it has started end with their keeper", async () => {
  // Grandchildren that nobody tells of the end of the first.
  const script = "sh -c 'sleep 1000 & sleep 1000 & echo started; wait' & wait";
  const running = new Running(["sh", "-c", script]);
  const kept = keepFamily(running);
  await running.line(/^started$/m);
  const all = family(running.pid);
  assert.is(all.length, 4, String(all));
  assert.ok(all.every(isRunning));
  await kept[Symbol.asyncDispose]();
  assert.equal(all.filter(isRunning), []);
});

onLinux("one that has ended already is no trouble", async () => {
  const running = new Running(["true"]);
  await running.outcome();
  await keepFamily(running)[Symbol.asyncDispose]();
  assert.not(isRunning(running.pid));
});

test.run();
