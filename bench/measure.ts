/** Runs cases on contenders in turn, so that a machine that slows down slows all of them. */

import { describe } from "../core/errors.ts";
import { type Contender, type Field, REFERENCES } from "./contenders.ts";
import type { Progress } from "./progress.ts";
import { median, ratio, spread } from "./statistics.ts";
import type { Case, Metric } from "./suites/suite.ts";
import { startUsage, type Usage } from "./usage.ts";

/** What one contender did in one case, by one metric. */
export interface Row {
  readonly suite: string;
  readonly case: string;
  readonly metric: string;
  /** Of which process this is, for CPU and memory. */
  readonly role?: string;
  readonly unit: string;
  readonly better: Metric["better"];
  readonly contender: string;
  /** Of the rounds; absent when the contender failed. */
  readonly median?: number;
  readonly spread?: number;
  /** By the contender it is to, for those of its references that have figures. */
  readonly ratios?: Readonly<Record<string, number>>;
  /** One figure a round. */
  readonly rounds: readonly number[];
  /** Why it failed. */
  readonly failed?: string;
}

export interface MeasureOptions {
  readonly suite: string;
  readonly field: Field;
  readonly rounds: number;
  readonly progress: Progress;
}

/** What one run yielded. */
interface Round {
  readonly figures: readonly (number | undefined)[];
  readonly usage?: Readonly<Record<string, Usage>>;
}

/** A metric, and where its figure is in a round. */
interface Series {
  readonly metric: Metric & { readonly role?: string };
  readonly figure: (round: Round) => number | undefined;
}

const MIB = 1024 * 1024;

const CPU = { name: "CPU", unit: "s/GB", better: "less" } as const;
const MEMORY = { name: "memory", unit: "MiB", better: "less" } as const;

/** The roles of a tunnel, from the operator to the device. */
export const ROLES: readonly string[] = ["service", "relay", "device"];

/** Whether this is what its processes used while a contender did something else that is measured. */
export function isUsage({ role, unit }: Pick<Row, "role" | "unit">): boolean {
  return role !== undefined || unit === CPU.unit;
}

/** How many warm-ups and runs a case takes. */
export function stepsOf(work: Case, { field, rounds }: MeasureOptions): number {
  return entrants(work, field).length * (rounds + 1);
}

/** One case: a warm-up each, then the rounds. A contender that fails once is out of this case. */
export async function measure(work: Case, options: MeasureOptions): Promise<Row[]> {
  const { field, rounds, progress, suite } = options;
  const contenders = entrants(work, field);
  const results = new Map(contenders.map(({ name }) => [name, [] as Round[]]));
  // Whether one that did not start would have had to do this, only a case for all can tell.
  const failures = new Map(work.applies ? [] : field.failures);
  const of = stepsOf(work, options);
  for (let round = 0; round <= rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      const { name } = contender;
      if (failures.has(name)) continue;
      const what = round === 0 ? "warm-up" : `round ${round} of ${rounds}`;
      const note = { done: round * contenders.length + index, of };
      progress(`${work.name}: ${name}, ${what}`, note);
      try {
        if (round === 0) await work.warmUp(contender);
        else results.get(name)!.push(await runOnce(work, contender));
      } catch (error) {
        failures.set(name, describe(error));
        progress(`${work.name}: ${name} failed: ${describe(error)}`, { ...note, keep: true });
      }
    }
  }
  return seriesOf(work, results).flatMap(({ metric, figure }) => {
    const figures = new Map([...results].map(([name, all]) => [name, all.map(figure)]));
    const names = new Set([...figures.keys(), ...failures.keys()]);
    return [...names].flatMap((contender): Row[] => {
      const { name, ...kind } = metric;
      const known = { suite, case: work.name, metric: name, ...kind, contender };
      const failed = failures.get(contender);
      if (failed === undefined) return rowOf(known, figures);
      // What it used says nothing without what it did.
      return isUsage(metric) ? [] : [{ ...known, rounds: [], failed }];
    });
  });
}

function entrants(work: Case, { contenders }: Field): Contender[] {
  return contenders.filter((contender) => work.applies?.(contender) ?? true);
}

async function runOnce(work: Case, contender: Contender): Promise<Round> {
  const span = work.moves === undefined ? undefined : startUsage(contender.processes);
  const figures = await work.run(contender);
  return { figures, usage: span?.end() };
}

/** The metrics of a case, then those of what its processes used. */
function seriesOf(work: Case, results: ReadonlyMap<string, readonly Round[]>): Series[] {
  const own = work.metrics.map((metric, index): Series => ({
    metric,
    figure: ({ figures }) => figures[index],
  }));
  const gigabytes = (work.moves ?? 0) / 1e9;
  const all = [...results.values()].flat();
  const found = new Set(all.flatMap(({ usage }) => Object.keys(usage ?? {})));
  const roles = [...ROLES.filter((role) => found.delete(role)), ...found];
  if (roles.length === 0) return own;
  const total = (usage: Record<string, Usage>) =>
    Object.values(usage).reduce((sum, { cpu }) => sum + cpu, 0);
  const isTunnel = (usage: Record<string, Usage>) => Object.keys(usage).length > 0;
  return [
    ...own,
    {
      metric: CPU,
      figure: ({ usage }) => usage && isTunnel(usage) ? total(usage) / gigabytes : undefined,
    },
    ...roles.map((role): Series => ({
      metric: { ...CPU, role },
      figure: ({ usage }) => usage?.[role] && usage[role].cpu / gigabytes,
    })),
    ...roles.map((role): Series => ({
      metric: { ...MEMORY, role },
      figure: ({ usage }) => {
        const peak = usage?.[role]?.peak;
        return peak === undefined ? undefined : peak / MIB;
      },
    })),
  ];
}

/** No row where a round has no figure: what is left would not be comparable. */
function rowOf(
  known: Omit<Row, "rounds">,
  figures: ReadonlyMap<string, readonly (number | undefined)[]>,
): Row[] {
  const { contender } = known;
  const all = figures.get(contender) ?? [];
  const rounds = all.filter((figure) => figure !== undefined);
  if (rounds.length === 0 || rounds.length < all.length) return [];
  const references = [...REFERENCES[contender] ?? [], ...contender === "direct" ? [] : ["direct"]];
  const ratios = Object.fromEntries(references.flatMap((reference) => {
    const value = ratio(all, figures.get(reference) ?? []);
    return value === undefined ? [] : [[reference, value]];
  }));
  return [{ ...known, median: median(rounds), spread: spread(rounds), ratios, rounds }];
}
