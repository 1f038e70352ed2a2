/** What a suite is made of. */

import { withDeadline } from "../../core/deadline.ts";

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
  warmUp(port: number): Promise<void>;
  /** One figure for each metric. @throws when the contender does not do its work */
  run(port: number): Promise<number[]>;
}

export type Suite = (options: { quick: boolean }) => Case[];

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
