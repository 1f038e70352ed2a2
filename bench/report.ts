/** How results are shown: as tables for people, one a case, or as JSON for a program. */

import { oneLine } from "../core/errors.ts";
import type { Conditions, Report } from "./conditions.ts";
import { formatFigure, formatNumber } from "./figures.ts";
import { isUsage, ROLES, type Row } from "./measure.ts";

/** Characters of a line at most, as far as that is ours to say. */
const WIDTH = 100;
/** In JSON only: what tables have no room for. */
const UNSHOWN = new Set(["samples"]);

export function formatJson(report: Report): string {
  return JSON.stringify(report, null, 2);
}

export function formatReport(report: Report): string {
  return [
    formatConditions(report),
    ...suitesOf(report.results).map((suite) =>
      `${suite}\n${"=".repeat(suite.length)}\n\n${formatSuite(suite, report.results)}`
    ),
    ...formatAbsent(report),
    LEGEND,
  ].join("\n\n");
}

export const LEGEND =
  `Figures are medians of the rounds. spread: largest less smallest, as a share of it.
to bare, direct, plain: the ratio of the first figure to that of the reference program of the same
transport that only copies, of no tunnel, and of the same engine without its encryption end to end,
round by round; above 1 is more of what is measured. of it, MiB: CPU time and peak resident memory
of service+relay+device. to idle: p99 to that without a load. p99.9 is left out where a run had too
few round trips.`;

/** The suites of these rows, in their order. */
export function suitesOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.map(({ suite }) => suite))];
}

/** The tables of one suite. */
export function formatSuite(suite: string, results: readonly Row[]): string {
  const rows = results.filter((row) => row.suite === suite);
  const cases = [...new Set(rows.map((row) => row.case))];
  return cases.map((name) => formatCase(name, rows.filter((row) => row.case === name)))
    .join("\n\n");
}

/** One case: a line a contender. */
function formatCase(name: string, rows: readonly Row[]): string {
  const shown = rows.filter((row) => !isUsage(row) && !UNSHOWN.has(row.metric));
  const metrics = [...new Set(shown.filter(({ failed }) => !failed).map(keyOf))];
  const first = metrics[0] ?? "";
  const ratios = ratiosOf(shown, first);
  const hasSpread = shown.some(({ rounds }) => rounds.length > 1);
  const hasRoles = rows.some(({ role }) => role !== undefined);
  const contenders = [...new Set(rows.map(({ contender }) => contender))];
  const head = [
    "",
    ...metrics.map(headOf),
    ...(hasSpread ? ["spread"] : []),
    ...ratios.map((ratio) => `to ${ratio}`),
    ...(hasRoles ? ["CPU s/GB", "of it", "MiB"] : []),
  ];
  const lines = contenders.flatMap((contender) => {
    const own = rows.filter((row) => row.contender === contender);
    if (own.some(({ failed }) => failed !== undefined)) return [];
    const find = (key: string) => own.find((row) => row.role === undefined && keyOf(row) === key);
    const cpu = own.find((row) => isUsage(row) && row.role === undefined);
    return [[
      contender,
      ...metrics.map((key) => cellOf(find(key))),
      ...(hasSpread ? [spreadOf(find(first))] : []),
      ...ratios.map((ratio) => ratioOf(own, ratio)),
      ...(hasRoles
        ? [cpu ? formatNumber(cpu.median!) : "", rolesOf(own, "CPU"), rolesOf(own, "memory")]
        : []),
    ]];
  });
  const failures = contenders.flatMap((contender) => {
    const failed = rows.find((row) => row.contender === contender && row.failed !== undefined);
    if (!failed) return [];
    return [`${contender}  FAILED: ${oneLine(failed.failed!)}`.slice(0, WIDTH)];
  });
  return [name, ...(lines.length > 0 ? columns([head, ...lines]) : []), ...failures].join("\n");
}

/** A metric by its name, and where it has none by its unit. */
function keyOf({ metric, unit }: Row): string {
  return JSON.stringify([metric, unit]);
}

function headOf(key: string): string {
  const [metric, unit] = JSON.parse(key);
  return metric || unit;
}

function cellOf(row: Row | undefined): string {
  if (row?.median === undefined) return "";
  // The head has the unit.
  if (row.metric === "") return formatNumber(row.median);
  return formatFigure(row.median, row.unit);
}

function spreadOf(row: Row | undefined): string {
  if (row?.spread === undefined || row.rounds.length < 2) return "";
  return `${(row.spread * 100).toFixed(0)} %`;
}

/** The kinds of references: those of the first metric, then those that only others have. */
function ratiosOf(rows: readonly Row[], first: string): string[] {
  const ordered = [
    ...rows.filter((row) => keyOf(row) === first),
    ...rows.filter((row) => keyOf(row) !== first),
  ];
  const found = new Set(ordered.flatMap(({ ratios }) => Object.keys(ratios ?? {}).map(kindOf)));
  const known = ["bare", "direct", "plain"].filter((kind) => found.delete(kind));
  return [...known, ...found];
}

/** `bare` of `bare quic`. */
function kindOf(reference: string): string {
  return reference.split(" ")[0]!;
}

function ratioOf(own: readonly Row[], kind: string): string {
  for (const { role, ratios = {} } of own) {
    const name = role === undefined && Object.keys(ratios).find((name) => kindOf(name) === kind);
    if (name) return ratios[name]!.toFixed(ratios[name]! < 0.1 ? 3 : 2);
  }
  return "";
}

/** Each role's figure; a dash for one that the contender has no process of. */
function rolesOf(own: readonly Row[], metric: string): string {
  const digits = metric === "CPU" ? 1 : 0;
  const byRole = new Map(
    own.filter((row) => row.role !== undefined && row.metric === metric)
      .map(({ role, median }) => [role!, median!.toFixed(digits)]),
  );
  if (byRole.size === 0) return "";
  const roles = new Set([...ROLES, ...byRole.keys()]);
  return [...roles].map((role) => byRole.get(role) ?? "-").join("+");
}

/** The first column to the left, all others to the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    ).join("  ").trimEnd()
  );
}

/** The machine and the kind of run, in a few lines. */
export function formatConditions(
  { machine, deno, tunnel, load, rounds, quick, began, seconds }: Conditions,
): string {
  const { cpu, cores, memory, system, kernel } = machine;
  const loads = load.map((one) => one.toFixed(2)).join(" to ");
  return [
    `${cpu}, ${count(cores, "core")}, ${(memory / 2 ** 30).toFixed(1)} GiB, ${system} ${kernel}.`,
    `tunnel ${tunnel}, Deno ${deno}. ${began.slice(0, 10)}, ${
      count(Math.max(1, Math.round(seconds / 60)), "minute")
    }, load ${loads}.`,
    `All on one machine, ${count(rounds, "round")}${quick ? "; quick: a first impression" : ""}.`,
  ].join("\n");
}

function formatAbsent({ absent }: Conditions): string[] {
  const lines = Object.entries(absent).map(([name, why]) => `${name}: ${why}`);
  return lines.length === 0 ? [] : [`Not measured:\n${lines.join("\n")}`];
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
