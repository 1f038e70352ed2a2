/** How results are shown: as a table, or as JSON for a program. */

import { table } from "../cmd/table.ts";
import type { Row } from "./measure.ts";

/** What the figures were taken on; they mean nothing without it. */
export interface Conditions {
  readonly quick: boolean;
  readonly rounds: number;
  readonly deno: string;
  readonly system: string;
  readonly cpus: number;
  /** The load of the last minute, before and after; more than its own before spoils the figures. */
  readonly load: readonly [before: number, after: number];
  readonly began: string;
}

/** @param before the first value of `Deno.loadavg()` and the time, when it began */
export function conditions(
  quick: boolean,
  rounds: number,
  before: { load: number; began: Date },
): Conditions {
  return {
    quick,
    rounds,
    deno: Deno.version.deno,
    system: `${Deno.build.os} ${Deno.build.arch}`,
    cpus: navigator.hardwareConcurrency,
    load: [before.load, Deno.loadavg()[0]!],
    began: before.began.toISOString(),
  };
}

export function formatTable(rows: readonly Row[], conditions: Conditions): string {
  const { quick, rounds, deno, system, cpus, load } = conditions;
  const lines = [["case", "contender", "median", "spread", "to bare", "to plain"]];
  let last = "";
  for (const row of rows) {
    const what = row.metric ? `${row.case}, ${row.metric}` : row.case;
    lines.push([what === last ? "" : what, ...cells(row)]);
    last = what;
  }
  return [
    `Deno ${deno}, ${system}, ${cpus} CPUs, load ${
      load.map((one) => one.toFixed(2)).join(" to ")
    }, all on one machine, ` +
    `${count(rounds, "round")}${quick ? ", quick: a first impression" : ""}.`,
    "",
    table(lines),
    "",
    "spread: largest less smallest round, as a share of the median. to bare, to plain: the ratio to",
    "the reference program of the same transport, and to the same engine without its encryption end",
    "to end, round by round; above 1 is more of what is measured.",
  ].join("\n");
}

function cells(row: Row): string[] {
  if (row.median === undefined) {
    return [row.contender, "FAILED", "", row.failed!.split("\n")[0]!.slice(0, 160)];
  }
  const to = (kind: string) => {
    const found = Object.entries(row.ratios ?? {}).find(([name]) => name.startsWith(kind));
    return found ? found[1].toFixed(2) : "";
  };
  const spread = row.rounds.length > 1 ? `${(row.spread! * 100).toFixed(0)} %` : "";
  return [
    row.contender,
    `${row.median.toFixed(0).padStart(6)} ${row.unit}`,
    spread,
    to("bare"),
    to("plain"),
  ];
}

export function formatJson(rows: readonly Row[], conditions: Conditions): string {
  return JSON.stringify({ ...conditions, results: rows }, null, 2);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
