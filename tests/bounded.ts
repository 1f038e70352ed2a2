/** A bound on the waits of a test. */

import { withDeadline } from "../core/deadline.ts";

/** Milliseconds; far more than any wait of a test that passes. */
const TIMEOUT = 60_000;

/** Fails a test that would otherwise hang. */
export function bounded<T>(what: string, work: Promise<T>): Promise<T> {
  return withDeadline({ action: what, timeout: TIMEOUT }, () => work);
}
