/** `tunnel audit verify`: checks that no row of the audit trail was altered, removed or put in. */

import { quote, TunnelError } from "../core/errors.ts";
import { type AuditAnchor, GENESIS } from "../core/policy/audit.ts";
import type { AuditReport } from "../core/store.ts";
import { administer, type Administration } from "./administration.ts";
import type { Context } from "./context.ts";
import { toJson } from "./json.ts";
import { print } from "./process.ts";

const ACTION = "verify the audit trail";

/** @throws {TunnelError} `internal` when the trail was tampered with */
export async function verifyAudit(context: Context): Promise<void> {
  const { options } = context;
  const text = options.text("expect");
  const expected = text === undefined ? undefined : parseHead(text);
  await administer(context, async (relay) => {
    const report = await relay.checkAudit();
    const failure = brokenBy(report) ?? (expected && await missing(relay, expected));
    const { rows, head, broken = null } = report;
    if (options.flag("json")) print(toJson({ ok: !failure, rows, head, broken }));
    if (failure) throw failure;
    if (!options.flag("json")) print(`ok: ${rows} rows, head ${head.seq}:${head.hash}`);
  });
}

/** `SEQ:HASH`, as this command prints it. */
function parseHead(text: string): AuditAnchor {
  const [, seq, hash] = /^(0|[1-9]\d{0,14}):([A-Za-z0-9_-]{43})$/.exec(text) ?? [];
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash };
  throw new TunnelError("usage", {
    action: "read --expect",
    state: `${quote(text)} is not the head of a trail`,
    remedy: "it is SEQ:HASH as an earlier `tunnel audit verify` has printed it",
  });
}

function brokenBy({ broken }: AuditReport): TunnelError | undefined {
  if (broken === undefined) return undefined;
  return tampered(`row ${broken} is missing, altered or foreign`);
}

/** Why an earlier head is not in the chain. */
async function missing(
  relay: Administration,
  { seq, hash }: AuditAnchor,
): Promise<TunnelError | undefined> {
  const { rows: [row] } = seq === 0
    ? { rows: [GENESIS] }
    : await relay.audit({ after: seq - 1, limit: 1 });
  if (row?.seq === seq && row.hash === hash) return undefined;
  if (row === undefined) return tampered(`row ${seq} is missing: the trail ends before it`);
  if (row.seq === seq) return tampered(`row ${seq} has the hash ${row.hash}, not ${hash}`);
  return tampered(`row ${seq} is not kept any more: the trail begins with row ${row.seq}`);
}

function tampered(state: string): TunnelError {
  return new TunnelError("internal", {
    action: ACTION,
    state,
    remedy: "compare with a copy of relay/store.db, and see who can write to it",
  });
}
