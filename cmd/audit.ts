/** `tunnel audit`: shows the audit trail, and goes on as it grows. */

import { delay, throwIfAborted } from "../core/deadline.ts";
import { quote, TunnelError } from "../core/errors.ts";
import { parseDeviceId, parseOperatorName } from "../core/names.ts";
import type { AuditQuery, AuditRow } from "../core/policy/audit.ts";
import { administer, type Administration } from "./administration.ts";
import { verifyAudit } from "./audit_verify.ts";
import type { Context } from "./context.ts";
import { formatInstant, parseSince } from "./instant.ts";
import { toJson } from "./json.ts";
import { format } from "./log.ts";
import { parseCount } from "./parse.ts";
import { print } from "./process.ts";
import { table } from "./table.ts";

/** Rows that are shown at most, and those without `--since` and `--limit`. */
const MOST = 100_000;
const SOME = 100;
/** Milliseconds between two looks for new rows. */
const INTERVAL = 1_000;

/** Which rows. */
type Wanted = Pick<AuditQuery, "since" | "device" | "operator">;

export async function audit(context: Context, action: string | undefined): Promise<void> {
  if (action === "verify") return await verifyAudit(context);
  if (action !== undefined) {
    throw new TunnelError("usage", {
      action: "read the audit trail",
      state: `${quote(action)} is not verify`,
      remedy: "use `tunnel audit` or `tunnel audit verify`",
    });
  }
  const { options } = context;
  const wanted = readWanted(context);
  // In the environment the word is the relay's.
  const limitText = options.own("limit");
  const fallback = wanted.since === undefined ? SOME : MOST;
  const limit = limitText === undefined ? fallback : parseCount(limitText, 1, MOST);
  const show = options.flag("json") ? showJson : showTable(!options.flag("follow"));
  await administer(context, async (relay, stop) => {
    const head = await headOf(relay);
    const rows = await newest(relay, wanted, limit);
    show(rows);
    if (!options.flag("follow")) return;
    await follow(relay, {
      wanted,
      after: Math.max(head, rows.at(-1)?.seq ?? 0),
      show,
      context,
      stop,
    });
  });
}

function readWanted({ options }: Context): Wanted {
  const given = (name: string) => options.text(name);
  const [since, device, operator] = ["since", "device", "operator"].map(given);
  return {
    since: since === undefined ? undefined : parseSince(since, Date.now()),
    device: device === undefined ? undefined : parseDeviceId(device),
    operator: operator === undefined ? undefined : parseOperatorName(operator),
  };
}

/** The newest rows, oldest first. */
async function newest(relay: Administration, wanted: Wanted, limit: number): Promise<AuditRow[]> {
  const pages: AuditRow[][] = [];
  let before = Number.MAX_SAFE_INTEGER;
  for (let left = limit; left > 0;) {
    const { rows, more } = await relay.audit({ ...wanted, before, limit: left });
    pages.push(rows);
    left -= rows.length;
    if (!more) break;
    before = rows[0]!.seq;
  }
  return pages.reverse().flat();
}

/** The number of the newest row of all. */
async function headOf(relay: Administration): Promise<number> {
  const { rows } = await relay.audit({ before: Number.MAX_SAFE_INTEGER, limit: 1 });
  return rows[0]?.seq ?? 0;
}

interface Following {
  readonly wanted: Wanted;
  /** The number of the last row that was seen. */
  readonly after: number;
  readonly show: (rows: readonly AuditRow[]) => void;
  readonly context: Context;
  readonly stop: AbortSignal;
}

/** Shows new rows until the signal fires. A session that is lost is made again. */
async function follow(relay: Administration, options: Following): Promise<never> {
  const { wanted, show, context, stop } = options;
  for (let { after } = options;; await delay(INTERVAL, stop)) {
    throwIfAborted(stop, "follow the audit trail");
    try {
      const head = await headOf(relay);
      for (let more = after < head; more;) {
        const page = await relay.audit({ ...wanted, after, limit: MOST });
        show(page.rows);
        after = Math.max(after, page.rows.at(-1)?.seq ?? 0);
        ({ more } = page);
      }
      after = Math.max(after, head);
    } catch (cause) {
      if (stop.aborted || !isPassing(cause)) throw cause;
      context.log.warn("the audit trail cannot be read now", { why: cause.message });
    }
  }
}

function isPassing(cause: unknown): cause is TunnelError {
  return cause instanceof TunnelError &&
    ["reset", "closed", "timeout", "limit"].includes(cause.code);
}

function showJson(rows: readonly AuditRow[]): void {
  for (const { seq, at, ...row } of rows) {
    print(toJson({ seq, at: formatInstant(at), ...row }));
  }
}

/** Rows as a table, under headings where it is all that is shown. */
function showTable(headings: boolean): (rows: readonly AuditRow[]) => void {
  const heads = headings ? [["ROW", "TIME", "EVENT", "BY", "FROM", "ABOUT", ""]] : [];
  return (rows) => {
    if (rows.length > 0) return print(table([...heads, ...rows.map(cells)]));
    if (headings) print("the audit trail has no such row");
  };
}

function cells(row: AuditRow): string[] {
  const { seq, at, type, by, from, device, operator, target } = row;
  const { why, reason, detail, sent, received, took } = row;
  const place = device === undefined ? "" : `${device}${target === undefined ? "" : `:${target}`}`;
  const about = [operator, place].filter(Boolean).join(" -> ");
  return [
    String(seq),
    formatInstant(at),
    type,
    by ?? "",
    from ?? "",
    about,
    format({ why, reason, detail, sent, received, took: took === undefined ? took : `${took}ms` }),
  ];
}
