/**
 * Measures the tunnel against reference programs that only copy (bare/), against no tunnel, and
 * against the tools that this machine has (peers/). arguments.ts has the command line. Exits with 1
 * when something failed, 2 when the command line is wrong.
 */

import { delay } from "../core/deadline.ts";
import { describe, exitCode } from "../core/errors.ts";
import { parseArguments, type RunArguments, USAGE } from "./arguments.ts";
import { conditions, type Report } from "./conditions.ts";
import { type Field, NAMES, PEERS, startField } from "./contenders.ts";
import type { Row } from "./measure.ts";
import { type Display, openDisplay, stderrScreen } from "./progress.ts";
import { formatJson, formatReport } from "./report.ts";
import { connections } from "./suites/connections.ts";
import { fleet } from "./suites/fleet.ts";
import { latency } from "./suites/latency.ts";
import { link } from "./suites/link.ts";
import { resume } from "./suites/resume.ts";
import type { Suite } from "./suites/suite.ts";
import { throughput } from "./suites/throughput.ts";
import { startTarget } from "./target.ts";

const SUITES: Readonly<Record<string, Suite>> = {
  throughput,
  latency,
  connections,
  link,
  resume,
  fleet,
};

/**
 * Milliseconds between two suites, so that what one leaves is over when the next begins: for 10 s after
 * much has passed, connections to the same target share no channel.
 */
const REST = 12_000;

/** What is known of a suite that failed as a whole. */
const NOTHING = { metric: "", unit: "", better: "more", contender: "all", rounds: [] } as const;

async function main(argv: string[]): Promise<void> {
  const choices = { suites: Object.keys(SUITES), contenders: NAMES, peers: PEERS };
  const args = parseArguments(argv, choices);
  if (args.command === "help") return console.log(USAGE);
  if (args.command === "report") {
    // Here and below: what draws is loaded by who wants a drawing.
    const { writeDocument } = await import("./document.ts");
    return await writeDocument(args.files);
  }
  const { json, chart } = args;
  // A file that cannot be written is to be known before hours have passed.
  for (const file of [json, chart]) if (isFile(file)) await Deno.writeTextFile(file, "");
  const report = await run(args, async (report) => {
    if (isFile(json)) await Deno.writeTextFile(json, `${formatJson(report)}\n`);
  });
  console.log(json === "-" ? formatJson(report) : formatReport(report));
  if (isFile(chart)) {
    const { drawChart } = await import("./chart.ts");
    await Deno.writeTextFile(chart, await drawChart(report));
  }
  if (report.results.some(({ failed }) => failed !== undefined)) Deno.exitCode = 1;
}

function isFile(name: string | undefined): name is string {
  return name !== undefined && name !== "-";
}

/** @param save gets what there is after each suite, so that a run that is stopped is not lost */
async function run(
  args: RunArguments,
  save: (report: Report) => Promise<void>,
): Promise<Report> {
  const { suites, names } = args;
  const before = { load: Deno.loadavg()[0]!, began: new Date() };
  using display = openDisplay(stderrScreen(), suites.length);
  const { progress } = display;
  await using ground = new AsyncDisposableStack();
  let started: Promise<Field> | undefined;
  const field = () => started ??= startAll(ground, names, display);
  const results: Row[] = [];
  const skipped: Record<string, string> = {};
  let report: Report | undefined;
  for (const suite of suites) {
    display.begin(suite);
    if (report) {
      progress("resting");
      await delay(REST);
    }
    try {
      const skip = (why: string) => {
        skipped[`suite ${suite}`] = why;
        progress(`skipped: ${why}`, { keep: true });
      };
      results.push(...await SUITES[suite]!({ ...args, suite, progress, skip, field }));
    } catch (cause) {
      // The figures of the other suites may have taken hours.
      const failed = describe(cause);
      progress(`${suite} failed: ${failed}`, { keep: true });
      results.push({ ...NOTHING, suite, case: suite, failed });
    }
    const facts = conditions(args, before, await started);
    report = { ...facts, absent: { ...facts.absent, ...skipped }, results };
    await save(report);
  }
  return report!;
}

async function startAll(
  ground: AsyncDisposableStack,
  names: readonly string[],
  { progress }: Display,
): Promise<Field> {
  const target = ground.use(startTarget());
  progress(`starting ${names.join(", ")}`);
  const field = ground.use(await startField(names, target.port));
  for (const [name, why] of field.failures) progress(`${name} failed: ${why}`, { keep: true });
  for (const [name, why] of field.absent) progress(`without ${name}: ${why}`, { keep: true });
  return field;
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(describe(error));
    Deno.exit(exitCode(error));
  }
}
