/** What a suite is made of. */

import { withDeadline } from "../../core/deadline.ts";
import type { Contender, Field } from "../contenders.ts";
import { measure, type Row, stepsOf } from "../measure.ts";
import type { Progress } from "../progress.ts";

/** Milliseconds that one run of a case may take. */
const TIMEOUT = 120_000;

/** A figure that a case yields. */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly better: "more" | "less";
}

/** One way of measuring, the same for each contender. */
export interface Case {
  readonly name: string;
  readonly metrics: readonly Metric[];
  /**
   * Bytes that one run moves; with it there are also figures for CPU time per GB and for memory, by
   * role.
   */
  readonly moves?: number;
  /** Whether it can be asked of this contender; it can of each by default. */
  applies?(contender: Contender): boolean;
  /** A short run whose figures are thrown away. */
  warmUp(contender: Contender): Promise<void>;
  /**
   * One figure for each metric; undefined where this run cannot tell.
   *
   * @throws when the contender does not do its work
   */
  run(contender: Contender): Promise<(number | undefined)[]>;
}

/** What a suite is run with. */
export interface SuiteOptions {
  /** The name it was asked for by. */
  readonly suite: string;
  readonly quick: boolean;
  readonly rounds: number;
  /** The names of the contenders that are wanted. */
  readonly names: readonly string[];
  readonly progress: Progress;
  /** Tells that this suite is left out, and why; the report says so. */
  readonly skip: (why: string) => void;
  /** The contenders, running on loopback: started by the first suite that asks. */
  readonly field: () => Promise<Field>;
}

/** Measures one subject. */
export type Suite = (options: SuiteOptions) => Promise<Row[]>;

/** A suite of cases that each contender on loopback runs in turn. */
export function onField(cases: (options: { quick: boolean }) => Case[]): Suite {
  return async (options) => {
    const field = await options.field();
    const all = cases(options).map((work) => ({
      work,
      steps: stepsOf(work, { ...options, field }),
    }));
    const of = all.reduce((sum, { steps }) => sum + steps, 0);
    const rows: Row[] = [];
    let before = 0;
    for (const { work, steps } of all) {
      const done = before; // Of the cases before this one.
      const progress: Progress = (text, note) =>
        options.progress(text, note && { ...note, done: done + (note.done ?? 0), of });
      rows.push(...await measure(work, { ...options, field, progress }));
      before += steps;
    }
    return rows;
  };
}

/**
 * Runs `work` on connections of its own, which are closed after it, however it ends.
 *
 * @param work gets a function that connects to `port`
 */
export async function withConnections<T>(
  action: string,
  port: number,
  work: (connect: () => Promise<Deno.TcpConn>) => Promise<T>,
): Promise<T> {
  const open = new Set<Deno.TcpConn>();
  try {
    return await withDeadline({ action, timeout: TIMEOUT }, (signal) =>
      work(async () => {
        const conn = await Deno.connect({ hostname: "127.0.0.1", port });
        if (signal.aborted) {
          conn.close();
          throw signal.reason;
        }
        conn.setNoDelay(true);
        open.add(conn);
        return conn;
      }));
  } finally {
    for (const conn of open) conn.close();
  }
}
