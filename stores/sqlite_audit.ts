/**
 * The rows of the audit trail in SQLite. Triggers keep them append-only (see `migrations.ts`): the
 * table moves the head itself, and lets go of rows that the anchor has passed.
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import {
  AUDIT_FIELDS,
  type AuditAnchor,
  type AuditQuery,
  type AuditRow,
  GENESIS,
} from "../core/policy/audit.ts";
import { prepared } from "./database.ts";
import type { AuditTable, ChainEnds } from "./tables.ts";

/** A number behind every row's. */
const NO_END = Number.MAX_SAFE_INTEGER;

const COLUMNS = ["seq", "hash", ...AUDIT_FIELDS] as const;
const NAMES = COLUMNS.map((column) => `"${column}"`).join(", ");
const ROWS = `SELECT ${NAMES} FROM audit
  WHERE seq > :after AND seq < :before AND at >= :since`;
const OLDEST = "ORDER BY seq LIMIT :limit";
const NEWEST = "ORDER BY seq DESC LIMIT :limit";
const ABOUT_OPERATOR = "operator = :operator";
const BY_OPERATOR = `"by" = 'operator:' || :operator AND operator IS NOT :operator`;
const ABOUT_DEVICE = "device = :device";
const BY_DEVICE = `"by" = 'device:' || :device AND device IS NOT :device`;

const FIND = {
  all: ROWS,
  // Each half comes in the order of an index; SQLite merges them and stops at the limit.
  operator: `${ROWS} AND ${ABOUT_OPERATOR} UNION ALL ${ROWS} AND ${BY_OPERATOR}`,
  device: `${ROWS} AND ${ABOUT_DEVICE} UNION ALL ${ROWS} AND ${BY_DEVICE}`,
  both: `${ROWS} AND (${ABOUT_OPERATOR} OR ${BY_OPERATOR}) AND (${ABOUT_DEVICE} OR ${BY_DEVICE})`,
} as const;

const QUERIES = {
  end: "SELECT seq, hash FROM audit_ends WHERE which = ?",
  bounds: "SELECT (SELECT min(seq) FROM audit) AS first, (SELECT max(seq) FROM audit) AS last",
  append: `INSERT INTO audit (${NAMES}) VALUES (${COLUMNS.map(() => "?").join(", ")})`,
  since: "SELECT seq FROM audit WHERE at >= ? ORDER BY seq LIMIT 1",
  find: `${FIND.all} ${OLDEST}`,
  findOperator: `${FIND.operator} ${OLDEST}`,
  findDevice: `${FIND.device} ${OLDEST}`,
  findBoth: `${FIND.both} ${OLDEST}`,
  findLast: `${FIND.all} ${NEWEST}`,
  findLastOperator: `${FIND.operator} ${NEWEST}`,
  findLastDevice: `${FIND.device} ${NEWEST}`,
  findLastBoth: `${FIND.both} ${NEWEST}`,
  moveAnchor: "UPDATE audit_ends SET seq = ?, hash = ? WHERE which = 'anchor'",
  forget: "DELETE FROM audit WHERE seq <= ?",
} as const;

export class SqliteAudit implements AuditTable {
  readonly #query: ReturnType<typeof prepared<typeof QUERIES>>;

  constructor(database: DatabaseSync) {
    this.#query = prepared(database, QUERIES);
  }

  head(): AuditAnchor {
    return this.#end("head");
  }

  ends(): ChainEnds {
    const { first, last } = this.#query("bounds").get() as Record<string, number | null>;
    const [anchor, head] = [this.#end("anchor"), this.#end("head")];
    return { anchor, head, first: first ?? undefined, last: last ?? undefined };
  }

  append(row: AuditRow): void {
    this.#query("append").run(...COLUMNS.map((column) => row[column] ?? null));
  }

  rows(after: number, limit: number): AuditRow[] {
    return rowsOf(this.#query("find"), { after, before: NO_END, since: 0, limit });
  }

  find({ after = 0, before, since = 0, device, operator, limit }: AuditQuery): AuditRow[] {
    const about = device === undefined
      ? operator === undefined ? "" : "Operator"
      : operator === undefined
      ? "Device"
      : "Both";
    const rows = rowsOf(this.#query(before === undefined ? `find${about}` : `findLast${about}`), {
      after,
      before: before ?? NO_END,
      since,
      limit,
      ...(device !== undefined && { device }),
      ...(operator !== undefined && { operator }),
    });
    return before === undefined ? rows : rows.reverse();
  }

  forget({ seq, hash }: AuditAnchor): number {
    this.#query("moveAnchor").run(seq, hash);
    return Number(this.#query("forget").run(seq).changes);
  }

  /** One that somebody has removed reads as the one of an empty trail, which the rows then belie. */
  #end(which: "anchor" | "head"): AuditAnchor {
    const row = this.#query("end").get(which);
    return row ? { ...row } as unknown as AuditAnchor : GENESIS;
  }
}

function rowsOf(query: StatementSync, values: Record<string, string | number>): AuditRow[] {
  return query.all(values).map((row) =>
    Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
  ) as unknown as AuditRow[];
}
