/** `tunnel grants`: who may reach what. */

import { parseOperatorName } from "../core/names.ts";
import type { Grant } from "../core/policy/grant.ts";
import { administer } from "./administration.ts";
import type { Context } from "./context.ts";
import { formatInstant } from "./instant.ts";
import { toJson } from "./json.ts";
import { print } from "./process.ts";
import { table } from "./table.ts";

export async function grants(context: Context): Promise<void> {
  const { options } = context;
  const text = options.text("operator");
  const operator = text === undefined ? undefined : parseOperatorName(text);
  const all = (await administer(context, (relay) => relay.grants(operator))).toSorted(byOperator);
  if (options.flag("json")) {
    const shown = all.map(({ id, operator, scope, until, at, by }) => ({
      ...{ id, operator, scope },
      until: until === undefined ? null : formatInstant(until),
      ...{ at: formatInstant(at), by },
    }));
    return print(toJson(shown, 2));
  }
  if (all.length === 0) return print("there is no grant: tunnel grant OPERATOR DEVICES:TARGETS");
  const rows = all.map(({ id, operator, scope, until, at, by }) => [
    id,
    operator,
    scope,
    until === undefined ? "" : formatInstant(until),
    formatInstant(at),
    by,
  ]);
  print(table([["ID", "OPERATOR", "DEVICES:TARGETS", "UNTIL", "GIVEN", "BY"], ...rows]));
}

function byOperator(a: Grant, b: Grant): number {
  const [one, other] = [a, b].map(({ operator, scope }) => `${operator} ${scope}`);
  return one! < other! ? -1 : 1;
}
