/** What a piece of work fails with, for tests of errors. */

import { TunnelError } from "../core/errors.ts";

/** The error of `work`, which must be one of ours and on one line. */
export async function failure(work: () => unknown): Promise<TunnelError> {
  let value: unknown;
  try {
    value = await work();
  } catch (error) {
    if (!(error instanceof TunnelError)) throw error;
    if (/[\r\n]/.test(error.message)) throw new Error(`not on one line: ${error.message}`);
    return error;
  }
  throw new Error(`it did not fail: ${Deno.inspect(value)}`);
}

/** The error of work that is under way. */
export function failureOf(work: Promise<unknown>): Promise<TunnelError> {
  return failure(() => work);
}
