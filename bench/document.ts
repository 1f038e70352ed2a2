/** docs/BENCHMARKS.md and docs/benchmarks.svg from a run that `--json` has written. */

import { TunnelError } from "../core/errors.ts";
import { drawChart } from "./chart.ts";
import type { Report } from "./conditions.ts";
import { formatConditions, formatSuite, LEGEND, suitesOf } from "./report.ts";

const DOCUMENT = new URL("../docs/BENCHMARKS.md", import.meta.url);
const CHART = new URL("../docs/benchmarks.svg", import.meta.url);
/** Around what is written here; what is outside of them is somebody's prose. */
const MARKERS = ["<!-- begin run -->", "<!-- end run -->"] as const;

/** @param file what `--json` wrote */
export async function writeDocument(file: string): Promise<void> {
  const report: Report = JSON.parse(await Deno.readTextFile(file));
  const text = await Deno.readTextFile(DOCUMENT);
  await Deno.writeTextFile(CHART, await drawChart(report));
  await Deno.writeTextFile(DOCUMENT, fillDocument(text, report));
  // Lines of the list are as long as their sentences; `deno task check` wants them wrapped.
  const fmt = new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", DOCUMENT.pathname] });
  const { success } = await fmt.spawn().status;
  if (!success) throw new Error(`format ${DOCUMENT.pathname}: deno fmt failed`);
}

/** The document with this run between its markers. @throws {TunnelError} `usage` without markers */
export function fillDocument(text: string, report: Report): string {
  const [begin, end] = MARKERS.map((marker) => text.indexOf(marker)) as [number, number];
  if (begin < 0 || end < begin) {
    throw new TunnelError("usage", {
      action: "write the report",
      state: `the document has no place for it, from ${MARKERS[0]} to ${MARKERS[1]}`,
    });
  }
  const before = text.slice(0, begin + MARKERS[0].length);
  return `${before}\n\n${sections(report).join("\n\n")}\n\n${text.slice(end)}`;
}

function sections(report: Report): string[] {
  const { contenders, absent, results } = report;
  return [
    "## The run",
    fenced(formatConditions(report)),
    "![Each case as bars, a bar for each contender](benchmarks.svg)",
    "### What was compared",
    ...list([
      ...Object.entries(contenders).map(([name, { description, version }]) =>
        `**${name}**${version === undefined ? "" : ` ${version}`}: ${description}.`
      ),
      ...Object.entries(absent).map(([name, why]) => `**${name}** was not measured: ${why}.`),
    ]),
    ...suitesOf(results).flatMap((suite) => [
      `### ${suite}`,
      fenced(formatSuite(suite, results)),
    ]),
    "### How to read the tables",
    fenced(LEGEND),
  ];
}

function list(items: readonly string[]): string[] {
  return items.length === 0 ? [] : [items.map((item) => `- ${item}`).join("\n")];
}

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}
