/** `--audit-retention`: a relay forgets old rows of its audit trail. */

import { delay } from "../core/deadline.ts";
import { describe } from "../core/errors.ts";
import type { Store } from "../core/store.ts";
import { localAuthor } from "./author.ts";
import type { Context } from "./context.ts";
import { formatInstant } from "./instant.ts";

/** Milliseconds between two looks for rows that are too old. */
const DAY = 86_400_000;

/** Milliseconds. */
export interface Retention {
  /** Rows that are older than that are forgotten. */
  readonly keep: number;
  /** Between two looks; default a day. */
  readonly interval?: number;
}

/** Forgets rows that are too old, now and every day, until the signal fires. */
export async function keepPruned(
  store: Pick<Store, "pruneAudit">,
  { keep, interval = DAY }: Retention,
  { log, env }: Pick<Context, "log" | "env">,
  signal: AbortSignal,
): Promise<void> {
  for (; !signal.aborted; await delay(interval, signal)) {
    const author = localAuthor(env);
    const before = Math.max(0, author.at - keep);
    try {
      const rows = await store.pruneAudit(before, author);
      if (rows > 0) log.info("audit trail pruned", { rows, before: formatInstant(before) });
    } catch (cause) {
      // What is kept for too long is less harm than a relay that ends; tomorrow is another day.
      log.error("the audit trail cannot be pruned", { why: describe(cause) });
    }
  }
}
