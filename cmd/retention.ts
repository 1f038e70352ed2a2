/** `--audit-retention`: a relay forgets old rows of its audit trail. */

import { delay } from "../core/deadline.ts";
import { describe } from "../core/errors.ts";
import type { Store } from "../core/store.ts";
import { localAuthor } from "./author.ts";
import type { Context } from "./context.ts";
import { formatInstant } from "./instant.ts";

/** Milliseconds between two looks for rows that are too old. */
const DAY = 86_400_000;

/**
 * Forgets rows that are older than that now and every day, until the signal fires.
 *
 * @param retention milliseconds
 */
export async function keepPruned(
  store: Pick<Store, "pruneAudit">,
  retention: number,
  { log, env }: Pick<Context, "log" | "env">,
  signal: AbortSignal,
): Promise<void> {
  for (; !signal.aborted; await delay(DAY, signal)) {
    const author = localAuthor(env);
    const before = Math.max(0, author.at - retention);
    try {
      const rows = await store.pruneAudit(before, author);
      if (rows > 0) log.info("audit trail pruned", { rows, before: formatInstant(before) });
    } catch (cause) {
      // What is kept for too long is less harm than a relay that ends; tomorrow is another day.
      log.error("the audit trail cannot be pruned", { why: describe(cause) });
    }
  }
}
