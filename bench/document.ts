/** docs/BENCHMARKS.md and docs/benchmarks.svg from runs that `--json` has written. */

import { TunnelError } from "../core/errors.ts";
import { drawChart } from "./chart.ts";
import type { Description, Report } from "./conditions.ts";
import { formatConditions, formatSuite, LEGEND, suitesOf } from "./report.ts";

const DOCUMENT = new URL("../docs/BENCHMARKS.md", import.meta.url);
const CHART = new URL("../docs/benchmarks.svg", import.meta.url);
/** Around what is written here; what is outside of them is somebody's prose. */
const MARKERS = ["<!-- begin run -->", "<!-- end run -->"] as const;

/** @param files what `--json` wrote, one at least, in the order in which they are shown */
export async function writeDocument(files: readonly string[]): Promise<void> {
  const reports: Report[] = [];
  for (const file of files) reports.push(JSON.parse(await Deno.readTextFile(file)));
  const text = await Deno.readTextFile(DOCUMENT);
  const results = reports.flatMap(({ results }) => results);
  await Deno.writeTextFile(CHART, await drawChart({ ...reports[0]!, results }));
  await Deno.writeTextFile(DOCUMENT, fillDocument(text, reports));
  // Lines of the list are as long as their sentences; `deno task check` wants them wrapped.
  const fmt = new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", DOCUMENT.pathname] });
  const { success } = await fmt.spawn().status;
  if (!success) throw new Error(`format ${DOCUMENT.pathname}: deno fmt failed`);
}

/** The document with these runs between its markers. @throws {TunnelError} `usage` without markers */
export function fillDocument(text: string, reports: readonly Report[]): string {
  const [begin, end] = MARKERS.map((marker) => text.indexOf(marker)) as [number, number];
  if (begin < 0 || end < begin) {
    throw new TunnelError("usage", {
      action: "write the report",
      state: `the document has no place for it, from ${MARKERS[0]} to ${MARKERS[1]}`,
    });
  }
  const before = text.slice(0, begin + MARKERS[0].length);
  return `${before}\n\n${sections(reports).join("\n\n")}\n\n${text.slice(end)}`;
}

function sections(reports: readonly Report[]): string[] {
  const contenders = Object.assign({}, ...reports.map(({ contenders }) => contenders));
  const absent = Object.assign({}, ...reports.map(({ absent }) => absent));
  return [
    "## The run",
    "![Each case as bars, a bar for each contender](benchmarks.svg)",
    "### What was compared",
    ...list([
      ...Object.entries<Description>(contenders).map(([name, { description, version }]) =>
        `**${name}**${version === undefined ? "" : ` ${version}`}: ${description}.`
      ),
      ...Object.entries(absent).map(([name, why]) => `**${name}** was not measured: ${why}.`),
    ]),
    ...reports.flatMap((report) => [
      fenced(formatConditions(report)),
      ...suitesOf(report.results).flatMap((suite) => [
        `### ${suite}`,
        fenced(formatSuite(suite, report.results)),
      ]),
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
