/** An admin's side of a relay: changes who may reach what, and reads what is recorded. */

import { isSendable, MAX_SENT_ROWS, type OperatorInfo } from "./admin_messages.ts";
import type { Reply, Request } from "./control.ts";
import { TunnelError } from "./errors.ts";
import type { Link } from "./link.ts";
import { unasked } from "./link_errors.ts";
import type { AuditQuery, AuditRow } from "./policy/audit.ts";
import { CHANGE, type Change } from "./policy/change.ts";
import type { Grant } from "./policy/grant.ts";
import type { AuditReport } from "./store.ts";

/** Operators or grants that are taken from a relay at most. */
const MAX_LISTED = 100_000;
/** Milliseconds for a check of the audit trail: some millions of rows. */
const CHECK_TIMEOUT = 600_000;

/** Rows of the audit trail, oldest first. */
export interface AuditPage {
  readonly rows: AuditRow[];
  /** There may be more of those that were asked for, behind these; with `before`, in front. */
  readonly more: boolean;
}

/** Requests about who may reach what, over an operator's link. */
export class Admin {
  readonly #link: Pick<Link, "request">;
  readonly #signal?: AbortSignal;

  /** @param signal ends what is under way */
  constructor(link: Pick<Link, "request">, signal?: AbortSignal) {
    this.#link = link;
    this.#signal = signal;
  }

  /**
   * Makes a change. What it ends is cut before this settles.
   *
   * @returns the grants that it made or renewed
   * @throws {TunnelError} `usage` when it cannot be made, `refused` when this operator is no admin or
   * the last one who would be none any more
   */
  async change(change: Change): Promise<Grant[]> {
    if (!isSendable(change)) {
      const state = "it is too long for one message";
      throw new TunnelError("usage", {
        action: CHANGE,
        state,
        remedy: "give fewer grants at once",
      });
    }
    const reply = await this.#ask({ type: "change", id: 0, change });
    if (reply.type === "unchanged") {
      const { state, remedy } = reply;
      throw new TunnelError("usage", { action: CHANGE, state, remedy });
    }
    if (reply.type !== "changed") throw unasked();
    return reply.grants;
  }

  /**
   * Every operator, by name.
   *
   * @throws {TunnelError} `refused` when this one is no admin; `protocol` when the relay lists them out
   * of order, `limit` when there are more than 100,000
   */
  operators(): Promise<OperatorInfo[]> {
    return listed("operators", ({ name }) => name, async (after) => {
      const reply = await this.#ask({ type: "operators", id: 0, after });
      if (reply.type !== "operators") throw unasked();
      return { items: reply.operators, more: reply.more };
    });
  }

  /**
   * The grants of one operator or of all, by ID; who is no admin gets its own alone.
   *
   * @throws {TunnelError} `refused` when this operator is no admin and asks for another's; `protocol`,
   * `limit` as {@linkcode Admin.operators}
   */
  grants(operator?: string): Promise<Grant[]> {
    return listed("grants", ({ id }) => id, async (after) => {
      const reply = await this.#ask({ type: "grants", id: 0, operator, after });
      if (reply.type !== "grants") throw unasked();
      return { items: reply.grants, more: reply.more };
    });
  }

  /**
   * Some rows of the audit trail: as many of those that are asked for as fit into one message, at
   * most 500. Texts of more than 2,000 characters come cut.
   *
   * @throws {TunnelError} `refused` when this operator is no admin; `protocol` when they come out of
   * order
   */
  async audit(query: AuditQuery): Promise<AuditPage> {
    const limit = Math.min(query.limit, MAX_SENT_ROWS);
    const reply = await this.#ask({ type: "audit", id: 0, ...query, limit });
    if (reply.type !== "audit") throw unasked();
    const { rows, more } = reply;
    const { after = 0, before = Infinity } = query;
    // A relay that repeats itself would never come to an end.
    const isNext = ({ seq }: AuditRow, i: number) =>
      seq > (i === 0 ? after : rows[i - 1]!.seq) && seq < before;
    if (!rows.every(isNext) || (more && rows.length === 0)) throw unasked();
    return { rows, more: more || (rows.length === limit && limit < query.limit) };
  }

  /**
   * Has the relay check the whole audit trail; waits up to ten minutes.
   *
   * @throws {TunnelError} `refused` when this operator is no admin
   */
  async checkAudit(): Promise<AuditReport> {
    const reply = await this.#ask({ type: "audit-check", id: 0 }, CHECK_TIMEOUT);
    if (reply.type !== "audit-check") throw unasked();
    const { rows, head, broken } = reply;
    return { rows, head, broken };
  }

  async #ask(request: Request, timeout?: number): Promise<Reply> {
    return await this.#link.request(request, { timeout, signal: this.#signal });
  }
}

/** Every page of a list, whose keys must ascend: else it might never come to an end. */
async function listed<T>(
  what: string,
  keyOf: (item: T) => string,
  ask: (after?: string) => Promise<{ items: T[]; more: boolean }>,
): Promise<T[]> {
  const all: T[] = [];
  let last: string | undefined;
  for (;;) {
    const { items, more } = await ask(last);
    for (const item of items) {
      if (keyOf(item) <= (last ?? "")) throw unasked();
      last = keyOf(item);
      all.push(item);
    }
    if (all.length > MAX_LISTED) {
      const state = `the relay names more than ${MAX_LISTED}`;
      throw new TunnelError("limit", { action: `list ${what}`, state });
    }
    if (!more) return all;
    if (items.length === 0) throw unasked();
  }
}
