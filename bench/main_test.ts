/** `deno task bench` as people run it: a process of its own. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runToEnd, tempDir } from "../tests/processes.ts";

const test = suite("bench");

const QUICK = ["connections", "--quick", "--only", "direct"];

test("a quick run: the table alone on stdout, progress in plain lines on stderr", async () => {
  const { code, stdout, stderr } = await bench(...QUICK);
  assert.is(code, 0, stderr);
  assert.match(stdout, /^\S.* cores?, /);
  assert.match(stdout, /\nconnections, 64 at once\n +1\/s +p50 +p99\ndirect +\d+ /);
  assert.match(stdout, /\nfirst byte after a cold start\n +ms\ndirect +[\d.]+\n/);
  assert.match(
    stderr,
    /^\[\d+:\d\d\] connections 0 of 6: connections, 1 at once: direct, warm-up$/m,
  );
  assert.not.match(stderr, "\x1b");
});

test("with --json - stdout is JSON and nothing else; a chart goes to its file", async () => {
  await using dir = await tempDir();
  const chart = `${dir.path}/chart.svg`;
  const { code, stdout, stderr } = await bench(...QUICK, "--json", "-", "--chart", chart);
  assert.is(code, 0, stderr);
  const report = JSON.parse(stdout);
  assert.equal([report.quick, report.rounds, report.deno], [true, 1, Deno.version.deno]);
  assert.ok(report.machine.cores > 0 && report.machine.memory > 0 && report.machine.cpu !== "");
  assert.equal(Object.keys(report.contenders), ["direct"]);
  const kinds = report.results.map((row: Record<string, string>) => [row.case, row.metric]);
  assert.equal(kinds, [
    ...[1, 64].flatMap((count) =>
      ["", "p50", "p99"].map((metric) => [`connections, ${count} at once`, metric])
    ),
    ["first byte after a cold start", ""],
  ]);
  for (const { median } of report.results) assert.ok(median > 0);
  assert.match(await Deno.readTextFile(chart), /^<svg /);
});

test("a wrong word is a usage error, before anything is started", async () => {
  const { code, stdout, stderr } = await bench("speed");
  assert.is(code, 2);
  assert.is(stdout, "");
  assert.match(stderr, /^choose a suite: there is no suite "speed"; use throughput, .*\n$/);
});

test.run();

function bench(...args: string[]) {
  const main = new URL("main.ts", import.meta.url).pathname;
  return runToEnd([Deno.execPath(), "run", "-A", "--quiet", "--no-check", main, ...args]);
}
