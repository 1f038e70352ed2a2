/** What holds of every failure: it is one of ours, on one line, bounded, and keeps secrets. */

import { type ErrorCode, TunnelError } from "../../core/errors.ts";

/** Characters of a secret that may not be shown in a row. */
const TELLING = 6;
/** Characters of a message, at most: some quote a peer's text, which has a limit of its own. */
const LONGEST = 2_000;

/** Runs the code under test; what it throws must be of these codes and show nothing of the secrets. */
export async function attempt<T>(
  work: () => T | Promise<T>,
  codes: readonly ErrorCode[],
  secrets: readonly string[] = [],
): Promise<{ value: T } | { error: TunnelError }> {
  try {
    return { value: await work() };
  } catch (cause) {
    return { error: checkError(cause, codes, secrets) };
  }
}

/** @throws when it is not such a failure */
export function checkError(
  cause: unknown,
  codes: readonly ErrorCode[],
  secrets: readonly string[] = [],
): TunnelError {
  if (!(cause instanceof TunnelError)) throw new Error("a foreign error came out", { cause });
  if (!codes.includes(cause.code)) throw new Error(`the code is ${cause.code}`, { cause });
  // deno-lint-ignore no-control-regex -- these are what must not be there
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(cause.message)) {
    throw new Error(`not on one line: ${JSON.stringify(cause.message)}`);
  }
  if (cause.message.length > LONGEST) throw new Error(`${cause.message.length} characters`);
  checkSecrets(cause, secrets);
  return cause;
}

/** @throws when anything of the secrets shows in the value, its causes and its stack included */
export function checkSecrets(value: unknown, secrets: readonly string[]): void {
  if (secrets.length === 0) return;
  const shown = Deno.inspect(value, {
    depth: 10,
    strAbbreviateSize: 100_000,
    iterableLimit: 1_000,
  });
  for (const secret of secrets) {
    if (shows(shown, secret)) throw new Error(`a part of ${secret} shows in: ${shown}`);
  }
}

/** Whether a telling part of the secret is in the text. */
export function shows(text: string, secret: string): boolean {
  for (let at = 0; at + TELLING <= secret.length; at++) {
    if (text.includes(secret.slice(at, at + TELLING))) return true;
  }
  return false;
}

/** @throws when it is not so; says what the two are */
export function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [actual, expected].map((value) => Deno.inspect(value, INSPECT));
  if (a !== b) throw new Error(`${what}: ${a} is not ${b}`);
}

/** @throws when it is not so */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const INSPECT = { depth: 20, strAbbreviateSize: 100_000, iterableLimit: 100_000, sorted: true };
