/** `tunnel rights`: says what an operator may do beside dialling. */

import { parseOperatorName } from "../core/names.ts";
import { administer } from "./administration.ts";
import type { Context } from "./context.ts";
import { print } from "./process.ts";

export async function rights(context: Context, operatorText: string): Promise<void> {
  const { options } = context;
  const operator = parseOperatorName(operatorText);
  const rights = { admin: options.flag("admin"), approver: options.flag("approver") };
  await administer(context, (relay) => relay.change({ type: "rights", operator, rights }));
  print(`${operator}: ${formatRights(rights)}`);
}

/** For people. */
export function formatRights({ admin, approver }: { admin: boolean; approver: boolean }): string {
  return [admin ? "admin" : [], approver ? "approver" : []].flat().join(", ") || "no rights";
}
