/** Runs cases on contenders in turn, so that a machine that slows down slows all of them. */

import { describe } from "../core/errors.ts";
import { type Field, REFERENCES } from "./contenders.ts";
import { median, ratio, spread } from "./statistics.ts";
import type { Case, Metric } from "./suites/suite.ts";

/** What one contender did in one case, by one metric. */
export interface Row {
  readonly suite: string;
  readonly case: string;
  readonly metric: string;
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
  /** Told of what is going on. */
  readonly progress: (text: string) => void;
}

/** One case: a warm-up each, then the rounds. A contender that fails once is out of this case. */
export async function measure(work: Case, options: MeasureOptions): Promise<Row[]> {
  const { field, rounds, progress } = options;
  const figures = new Map(field.contenders.map(({ name }) => [name, [] as number[][]]));
  const failures = new Map(field.failures);
  for (let round = 0; round <= rounds; round++) {
    for (const contender of field.contenders) {
      const { name } = contender;
      if (failures.has(name)) continue;
      const what = round === 0 ? "warm-up" : `round ${round} of ${rounds}`;
      progress(`${work.name}: ${name}, ${what}`);
      try {
        if (round === 0) await work.warmUp(contender);
        else figures.get(name)!.push(await work.run(contender));
      } catch (error) {
        failures.set(name, describe(error));
        progress(`${work.name}: ${name} failed: ${describe(error)}`);
      }
    }
  }
  return work.metrics.flatMap((metric, index) => {
    const byName = new Map(
      [...figures].map(([name, all]) => [name, all.map((one) => one[index]!)] as const),
    );
    const names = [...byName.keys(), ...field.failures.keys()];
    return names.map((contender) =>
      makeRow({ work, metric, contender, byName, failures, suite: options.suite })
    );
  });
}

interface RowContext {
  readonly suite: string;
  readonly work: Case;
  readonly metric: Metric;
  readonly contender: string;
  readonly byName: ReadonlyMap<string, readonly number[]>;
  readonly failures: ReadonlyMap<string, string>;
}

function makeRow({ suite, work, metric, contender, byName, failures }: RowContext): Row {
  const rounds = byName.get(contender) ?? [];
  const failed = failures.get(contender);
  const known = {
    suite,
    case: work.name,
    metric: metric.name,
    unit: metric.unit,
    better: metric.better,
    contender,
    rounds,
  };
  if (failed !== undefined || rounds.length === 0) {
    return { ...known, failed: failed ?? "it was not run" };
  }
  return {
    ...known,
    median: median(rounds),
    spread: spread(rounds),
    ratios: Object.fromEntries(
      (REFERENCES[contender] ?? []).flatMap((reference) => {
        const value = ratio(rounds, byName.get(reference) ?? []);
        return value === undefined ? [] : [[reference, value]];
      }),
    ),
  };
}
