/** The rows of the audit trail in memory. */

import {
  type AuditAnchor,
  type AuditQuery,
  type AuditRow,
  GENESIS,
  selects,
} from "../core/policy/audit.ts";
import type { AuditTable, ChainEnds } from "./tables.ts";

export class MemoryAudit implements AuditTable {
  /** Without gaps: nobody but this class can get at them. */
  #rows: AuditRow[] = [];
  #anchor = GENESIS;
  #head = GENESIS;

  head(): AuditAnchor {
    return this.#head;
  }

  ends(): ChainEnds {
    const [first, last] = [this.#rows[0]?.seq, this.#rows.at(-1)?.seq];
    return { anchor: this.#anchor, head: this.#head, first, last };
  }

  append(row: AuditRow): void {
    this.#rows.push(row);
    this.#head = { seq: row.seq, hash: row.hash };
  }

  rows(after: number, limit: number): AuditRow[] {
    const from = Math.max(0, after - this.#anchor.seq);
    return this.#rows.slice(from, from + limit).map((row) => ({ ...row }));
  }

  find(query: AuditQuery): AuditRow[] {
    const selected = this.#rows.filter((row) => selects(query, row));
    const page = query.before === undefined
      ? selected.slice(0, query.limit)
      : selected.slice(-query.limit);
    return page.map((row) => ({ ...row }));
  }

  forget(anchor: AuditAnchor): number {
    const kept = this.#rows.filter(({ seq }) => seq > anchor.seq);
    const count = this.#rows.length - kept.length;
    this.#rows = kept;
    this.#anchor = anchor;
    return count;
  }
}
