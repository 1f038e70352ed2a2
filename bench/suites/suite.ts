/** What a suite is made of. */

import { withDeadline } from "../../core/deadline.ts";
import type { Contender, Field } from "../contenders.ts";
import { measure, type Row } from "../measure.ts";

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
  /** A short run whose figures are thrown away. */
  warmUp(contender: Contender): Promise<void>;
  /** One figure for each metric. @throws when the contender does not do its work */
  run(contender: Contender): Promise<number[]>;
}

/** What a suite is run with. */
export interface SuiteOptions {
  /** The name it was asked for by. */
  readonly suite: string;
  readonly quick: boolean;
  readonly rounds: number;
  /** The names of the contenders that are wanted. */
  readonly names: readonly string[];
  /** Told of what is going on. */
  readonly progress: (text: string) => void;
  /** The contenders, running on loopback: started by the first suite that asks. */
  readonly field: () => Promise<Field>;
}

/** Measures one subject. */
export type Suite = (options: SuiteOptions) => Promise<Row[]>;

/** A suite of cases that each contender on loopback runs in turn. */
export function onField(cases: (options: { quick: boolean }) => Case[]): Suite {
  return async (options) => {
    const field = await options.field();
    const rows: Row[] = [];
    for (const work of cases(options)) rows.push(...await measure(work, { ...options, field }));
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
