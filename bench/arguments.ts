/** The command line of `deno task bench`. */

import { parseArgs } from "node:util";
import { describe, TunnelError } from "../core/errors.ts";
import { parseCount } from "../cmd/parse.ts";

export const USAGE = `deno task bench [SUITE...] [--quick] [--rounds N] [--json FILE] [--chart FILE]
                [--against NAME,... | --only NAME,...]
deno task bench report FILE...

  SUITE       all of them by default
  --quick     fewer cases, shorter runs, one round: a first impression
  --rounds    1 to 100 (default: 3, with --quick 1)
  --json      the figures for a program; with - they are on stdout in the table's place
  --chart     draws the figures as SVG
  --against   tools to compare with, by name or first word ("frp" is all of frp's); the tunnel and
              its references are there in any case
  --only      the contenders of these names and no other
  report      writes docs/BENCHMARKS.md and docs/benchmarks.svg from the FILE of --json, or several:
              runs of other suites`;

/** What there is to choose from, each in the order of measurement. */
export interface Choices {
  readonly suites: readonly string[];
  /** Names of contenders. */
  readonly contenders: readonly string[];
  /** Those of them that are not of this repository. */
  readonly peers: readonly string[];
}

export interface RunArguments {
  readonly command: "run";
  readonly suites: readonly string[];
  readonly names: readonly string[];
  readonly quick: boolean;
  readonly rounds: number;
  /** `-` is stdout. */
  readonly json: string | undefined;
  readonly chart: string | undefined;
}

export type Arguments =
  | RunArguments
  | { readonly command: "report"; readonly files: readonly string[] }
  | { readonly command: "help" };

/** @throws {TunnelError} `usage` */
export function parseArguments(args: readonly string[], choices: Choices): Arguments {
  const { values, positionals } = read(args);
  if (values.help) return { command: "help" };
  if (positionals[0] === "report") {
    const [, ...files] = positionals;
    if (files.length > 0) return { command: "report", files };
    throw usage("write the report", "it takes the files that --json wrote");
  }
  const { quick = false, against, only } = values;
  if (against !== undefined && only !== undefined) {
    throw usage("choose contenders", "--against and --only exclude each other");
  }
  return {
    command: "run",
    suites: exactly("suite", positionals, choices.suites),
    names: only === undefined
      ? withPeers(against?.split(","), choices)
      : exactly("contender", only.split(",").map(tidy), choices.contenders),
    quick,
    rounds: parseCount(values.rounds ?? (quick ? "1" : "3"), 1, 100),
    json: values.json,
    chart: values.chart,
  };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        quick: { type: "boolean" },
        rounds: { type: "string" },
        against: { type: "string" },
        only: { type: "string" },
        json: { type: "string" },
        chart: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (cause) {
    throw usage("read the command line", describe(cause), cause);
  }
}

/** What was asked for, in the order of `all`; everything when nothing was. */
function exactly(kind: string, wanted: readonly string[], all: readonly string[]): string[] {
  for (const name of wanted) if (!all.includes(name)) throw unknown(kind, name, all);
  return all.filter((name) => wanted.length === 0 || wanted.includes(name));
}

/** All of ours, and the peers that `wanted` names by their first words; all without it. */
function withPeers(
  wanted: readonly string[] | undefined,
  { contenders, peers }: Choices,
): string[] {
  const words = wanted?.map(tidy);
  const isNamed = (peer: string, word: string) => peer === word || peer.startsWith(`${word} `);
  for (const word of words ?? []) {
    if (!peers.some((peer) => isNamed(peer, word))) throw unknown("tool", word, peers);
  }
  return contenders.filter((name) =>
    !peers.includes(name) || (words?.some((word) => isNamed(name, word)) ?? true)
  );
}

function tidy(name: string): string {
  return name.trim().replace(/\s+/g, " ");
}

function unknown(kind: string, name: string, all: readonly string[]): TunnelError {
  return new TunnelError("usage", {
    action: `choose a ${kind}`,
    state: `there is no ${kind} ${JSON.stringify(name)}`,
    remedy: `use ${all.join(", ")}`,
  });
}

function usage(action: string, state: string, cause?: unknown): TunnelError {
  return new TunnelError("usage", { action, state, remedy: "see deno task bench --help", cause });
}
