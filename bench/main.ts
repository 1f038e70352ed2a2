/**
 * Measures the tunnel against reference programs that only copy (bare/) and against no tunnel.
 *
 *     deno task bench [SUITE...] [--quick] [--rounds N] [--only NAME,...] [--json FILE]
 *
 * SUITE is throughput, latency or connections; all by default. `--only` names contenders, such as
 * "tunnel quic". `--json -` puts JSON on stdout in the table's place. Exits with 1 when a contender
 * failed.
 */

import { parseArgs } from "node:util";
import { describe, TunnelError } from "../core/errors.ts";
import { parseCount } from "../cmd/parse.ts";
import { type Field, NAMES, startField } from "./contenders.ts";
import type { Row } from "./measure.ts";
import { conditions, formatJson, formatTable } from "./report.ts";
import { connections } from "./suites/connections.ts";
import { fleet } from "./suites/fleet.ts";
import { latency } from "./suites/latency.ts";
import type { Suite } from "./suites/suite.ts";
import { throughput } from "./suites/throughput.ts";
import { startTarget } from "./target.ts";

const SUITES: Readonly<Record<string, Suite>> = { throughput, latency, connections, fleet };

interface Arguments {
  readonly suites: readonly string[];
  readonly names: readonly string[];
  readonly quick: boolean;
  readonly rounds: number;
  readonly json: string | undefined;
}

async function main(argv: string[]): Promise<void> {
  const { suites, names, quick, rounds, json } = parseArguments(argv);
  const before = { load: Deno.loadavg()[0]!, began: new Date() };
  const rows = await run(suites, names, quick, rounds);
  const facts = conditions(quick, rounds, before);
  const text = formatJson(rows, facts);
  if (json === "-") console.log(text);
  else console.log(formatTable(rows, facts));
  if (json !== undefined && json !== "-") await Deno.writeTextFile(json, `${text}\n`);
  if (rows.some(({ failed }) => failed !== undefined)) Deno.exitCode = 1;
}

async function run(
  suites: readonly string[],
  names: readonly string[],
  quick: boolean,
  rounds: number,
): Promise<Row[]> {
  const progress = (text: string) => console.error(text);
  await using ground = new AsyncDisposableStack();
  let started: Promise<Field> | undefined;
  const field = () =>
    started ??= (async () => {
      const target = ground.use(startTarget());
      progress(`starting ${names.join(", ")}`);
      const field = ground.use(await startField(names, target.port));
      for (const [name, why] of field.failures) progress(`${name} failed: ${why}`);
      return field;
    })();
  const rows: Row[] = [];
  for (const suite of suites) {
    rows.push(...await SUITES[suite]!({ suite, quick, rounds, names, progress, field }));
  }
  return rows;
}

function parseArguments(args: string[]): Arguments {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      only: { type: "string" },
      json: { type: "string" },
    },
  });
  const quick = values.quick ?? false;
  return {
    suites: choose("suite", positionals, Object.keys(SUITES)),
    names: choose("contender", values.only?.split(",").map((name) => name.trim()) ?? [], NAMES),
    quick,
    rounds: parseCount(values.rounds ?? (quick ? "1" : "3"), 1, 100),
    json: values.json,
  };
}

/** What was asked for, in the order of `all`; everything when nothing was. */
function choose(kind: string, wanted: readonly string[], all: readonly string[]): string[] {
  for (const name of wanted) {
    if (all.includes(name)) continue;
    throw new TunnelError("usage", {
      action: `choose a ${kind}`,
      state: `there is no ${kind} ${JSON.stringify(name)}`,
      remedy: `use ${all.join(", ")}`,
    });
  }
  return all.filter((name) => wanted.length === 0 || wanted.includes(name));
}

try {
  await main(Deno.args);
} catch (error) {
  console.error(describe(error));
  Deno.exit(2);
}
