/** `tunnel grant`: lets an operator reach targets of devices. */

import { parseOperatorName } from "../core/names.ts";
import { formatScope, type Grant, parseScope } from "../core/policy/grant.ts";
import { administer } from "./administration.ts";
import type { Context } from "./context.ts";
import { formatInstant, parseUntil } from "./instant.ts";
import { print } from "./process.ts";

export async function grant(
  context: Context,
  operatorText: string,
  scopes: readonly string[],
): Promise<void> {
  const operator = parseOperatorName(operatorText);
  // All of them first, so that nothing is given when one is wrong.
  const grants = readGrants(scopes, context.options.text("until"));
  await administer(context, async (relay) => {
    for (const each of grants) {
      for (const made of await relay.change({ type: "grant", operator, ...each })) {
        print(line(made));
      }
    }
  });
}

/**
 * Grants as they are given on a command line.
 *
 * @throws {TunnelError} `usage`
 */
export function readGrants(
  scopes: readonly string[],
  untilText: string | undefined,
): { scope: string; until?: number }[] {
  const until = untilText === undefined ? undefined : parseUntil(untilText, Date.now());
  return scopes.map((text) => ({ scope: formatScope(parseScope(text)), until }));
}

function line({ id, scope, until }: Grant): string {
  return `${id} ${scope}${until === undefined ? "" : ` until ${formatInstant(until)}`}`;
}
