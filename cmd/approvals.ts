/** `tunnel approvals`, `approve` and `deny`: decides about dials that devices ask about. */

import { formatTarget } from "../core/allow.ts";
import { decideDial, type NamedDial, waitingDials } from "../core/decide.ts";
import { describe, TunnelError } from "../core/errors.ts";
import type { Context } from "./context.ts";
import { print } from "./process.ts";
import { LINK_TIMEOUT, withService } from "./service.ts";
import { table } from "./table.ts";

export async function approvals(context: Context): Promise<void> {
  const dials = await withService(context, async ({ supervisor, stop }) => {
    return await waitingDials(await supervisor.link(LINK_TIMEOUT, stop), stop);
  });
  if (context.options.flag("json")) return print(JSON.stringify(dials.map(toJson), null, 2));
  if (dials.length === 0) return print("no dial waits for your decision");
  const rows = dials.map((dial) => [
    dial.id,
    dial.operator,
    targetOf(dial),
    `until ${iso(dial.until).slice(0, 19)}Z`,
    dial.reason ?? "",
  ]);
  print(table([["ID", "OPERATOR", "TARGET", "WAITS", "REASON"], ...rows]));
}

export async function approve(context: Context, id: string): Promise<void> {
  await decide(context, id, true);
}

export async function deny(context: Context, id: string): Promise<void> {
  await decide(context, id, false);
}

async function decide(context: Context, text: string, accept: boolean): Promise<void> {
  const id = parseDialId(text);
  const dial = await withService(context, async ({ supervisor, claim, stop }) => {
    const link = await supervisor.link(LINK_TIMEOUT, stop);
    return await decideDial(link, claim, { id, accept, signal: stop });
  });
  print(`${accept ? "approved" : "denied"} ${dial.operator} -> ${targetOf(dial)}`);
}

/** @throws {TunnelError} `usage` */
function parseDialId(text: string): string {
  if (/^[0-9a-f]{16}$/.test(text)) return text;
  throw new TunnelError("usage", {
    action: "read the ID of a dial",
    state: `${JSON.stringify(text.slice(0, 80))} is not one`,
    remedy: "it is 16 hexadecimal digits, as `tunnel approvals` shows them",
  });
}

function toJson({ id, device, operator, host, port, protocol, reason, since, until }: NamedDial) {
  const times = { since: iso(since), until: iso(until) };
  return { id, device, operator, host, port, protocol, reason, ...times };
}

/** The relay may have put anything in the host: it is made fit for a terminal. */
function targetOf(dial: NamedDial): string {
  return describe(`${dial.device}:${formatTarget(dial)}`);
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
