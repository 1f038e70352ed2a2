import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { Running } from "../tests/processes.ts";
import { startUsage } from "./usage.ts";

const test = suite("usage");
const MIB = 1024 * 1024;

/**
 * Does as each line of its input says: burns CPU, fills memory and lets go of it, or ends. What is let
 * go of is freed by another thread of V8's, whenever it comes to that: so it looks until it is gone.
 */
const PROGRAM = `
const lines = require("node:readline").createInterface({ input: process.stdin });
const fill = (mib) => void Buffer.alloc(mib * 1024 * 1024, 1);
lines.on("line", async (line) => {
  const [what, much] = line.split(" ");
  if (what === "quit") process.exit();
  if (what === "burn") {
    const until = process.cpuUsage().user + process.cpuUsage().system + much * 1e6;
    while (process.cpuUsage().user + process.cpuUsage().system < until);
  } else {
    const full = process.memoryUsage().rss + (much / 2) * 1024 * 1024;
    fill(much);
    do {
      await new Promise((resolve) => setTimeout(resolve));
      gc();
    } while (process.memoryUsage().rss > full);
  }
  console.log("done " + line);
});
console.log("ready");
`;

const LINUX = Deno.build.os === "linux";
if (!LINUX) console.log("skipped: usage (Linux only)");
const onLinux = LINUX ? test : test.skip;

onLinux("counts the CPU of each role, and of no other time", async () => {
  await using busy = await worker();
  await using idle = await worker();
  await order(busy, "burn 0.3");
  const span = startUsage([{ role: "busy", pid: busy.pid }, { role: "idle", pid: idle.pid }])!;
  await order(busy, "burn 0.5");
  const { busy: used, idle: rested } = span.end();
  assert.ok(used!.cpu >= 0.48, `${used!.cpu} s of at least 0.5`);
  assert.ok(used!.cpu < 0.8, `${used!.cpu} s: what was used before counts`);
  assert.ok(rested!.cpu < used!.cpu, `${rested!.cpu} s of one that did nothing`);
});

onLinux("counts a child, while it lives and when its parent has waited for it", async () => {
  const parent = ["sh", "-c", '"$@"; echo gone; read line', "sh", ...command()];
  await using running = new Running(parent, { keepStdin: true });
  await running.line(/^ready$/m);
  const span = startUsage([{ role: "all", pid: running.pid }])!;
  await order(running, "burn 0.3");
  const living = span.end().all!;
  assert.ok(living.cpu >= 0.28, `${living.cpu} s of at least 0.3`);
  assert.ok(living.peak! > 20 * MIB, `${living.peak} bytes: that is the shell alone`);
  await running.type("quit\n");
  await running.line(/^gone$/m);
  const ended = span.end().all!;
  assert.ok(ended.cpu >= living.cpu, `${ended.cpu} s, ${living.cpu} s while it lived`);
});

onLinux("adds up the processes of one role", async () => {
  await using one = await worker();
  await using other = await worker();
  const span = startUsage([one, other].map(({ pid }) => ({ role: "both", pid })))!;
  await order(one, "burn 0.2");
  const { cpu, peak } = span.end().both!;
  await order(other, "burn 0.2");
  const { both } = span.end();
  assert.ok(both!.cpu >= cpu + 0.18, `${both!.cpu} s after ${cpu} s`);
  const alone = startUsage([{ role: "one", pid: one.pid }])!.end().one!;
  assert.ok(peak! > alone.peak! + 20 * MIB, `${peak} bytes, ${alone.peak} of them one's`);
});

onLinux("keeps the peak of the span, not the one before it", async () => {
  await using one = await worker();
  await order(one, "fill 300");
  const processes = [{ role: "one", pid: one.pid }];
  const quiet = startUsage(processes)!;
  const { peak: low } = quiet.end().one!;
  const span = startUsage(processes)!;
  await order(one, "fill 150");
  const { peak: high } = span.end().one!;
  assert.ok(high! - low! > 120 * MIB, `${low} bytes at rest, ${high} at the most`);
  assert.ok(high! - low! < 280 * MIB, `${low} bytes at rest, ${high}: the peak before counts`);
});

onLinux("fails when a process has ended", async () => {
  const one = await worker();
  const span = startUsage([{ role: "one", pid: one.pid }])!;
  await one[Symbol.asyncDispose]();
  assert.throws(() => span.end(), /measure what the one uses: process \d+ has ended/);
});

/** Deno itself, as every machine that runs this has it. */
function command(): string[] {
  return [Deno.execPath(), "eval", "--v8-flags=--expose-gc", "--ext=cjs", PROGRAM];
}

async function worker(): Promise<Running> {
  const running = new Running(command(), { keepStdin: true });
  await running.line(/^ready$/m);
  return running;
}

async function order(running: Running, line: string): Promise<void> {
  const done = running.line(new RegExp(`^done ${line}$`, "m"));
  await running.type(`${line}\n`);
  await bounded(line, done);
}

test.run();
