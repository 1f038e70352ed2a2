/** The chain of the audit trail over a table of rows: what is appended, forgotten and checked. */

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { TunnelError } from "../core/errors.ts";
import { BASE64URL_32 } from "../core/identity/keys.ts";
import {
  type AuditAnchor,
  auditBytes,
  type AuditEvent,
  type AuditRow,
  cleanEvent,
  GENESIS,
} from "../core/policy/audit.ts";
import { type Author, checkInstant } from "../core/policy/change.ts";
import type { AuditReport } from "../core/store.ts";
import type { AuditTable, ChainEnds } from "./tables.ts";

/** Rows that are checked before others get their turn: some milliseconds. */
const CHECK_PAGE = 500;
/** Rows that one transaction forgets at most: some tens of milliseconds. */
const PRUNE_PAGE = 2_000;

/** A chain to be checked, from wherever it is. */
export interface Chain {
  ends(): Promise<ChainEnds>;
  rows(after: number, limit: number): Promise<AuditRow[]>;
}

/** @throws {TunnelError} as {@linkcode cleanEvent}; `unavailable` when the head is damaged */
export function appendEvents(table: AuditTable, events: readonly AuditEvent[]): void {
  // All of them first: memory cannot undo.
  const cleaned = events.map(cleanEvent);
  let before = table.head();
  for (const event of cleaned) {
    const hash = hashOf(before, event);
    if (hash === undefined) throw headDamaged();
    const row = { seq: before.seq + 1, hash, ...event };
    table.append(row);
    before = row;
  }
}

/**
 * Forgets rows from the beginning on, a bounded number at a time, and says so in a new row. A row
 * that was missing there stays told by the numbers.
 */
export function pruneChain(
  table: AuditTable,
  before: number,
  { by, from, at }: Author,
): { count: number; done: boolean } {
  checkInstant("prune the audit trail", before);
  const { anchor } = table.ends();
  const rows = table.rows(anchor.seq, PRUNE_PAGE);
  const kept = rows.findIndex((row) => row.at >= before);
  const last = kept < 0 ? rows.at(-1) : rows[kept - 1];
  if (!last) return { count: 0, done: true };
  const count = table.forget({ seq: last.seq, hash: last.hash });
  const detail = `${count} rows, ${anchor.seq + 1} ${anchorText(last)}`;
  appendEvents(table, [{ at, type: "prune", by, from, detail }]);
  return { count, done: kept >= 0 || rows.length < PRUNE_PAGE };
}

/** Checks every row against the one before it, and both ends against what is noted of them. */
export async function checkChain(chain: Chain): Promise<AuditReport> {
  for (;;) {
    const ends = await chain.ends();
    const report = await checkRows(chain, ends);
    if (report.broken === undefined) return report;
    // Rows that another process forgot meanwhile are not missing.
    if ((await chain.ends()).anchor.seq === ends.anchor.seq) return report;
  }
}

/** One turn of the event loop for everybody else. */
export async function breather(): Promise<void> {
  await setImmediate();
}

async function checkRows(chain: Chain, ends: ChainEnds): Promise<AuditReport> {
  const { anchor, head, first, last } = ends;
  let at = anchor;
  let rows = 0;
  // Up to where rows were forgotten, as the chain itself tells.
  let told = GENESIS;
  const report = (broken?: number) => ({ rows, head: at, ...(broken !== undefined && { broken }) });
  if (first !== undefined && first <= anchor.seq) return report(first);
  while (at.seq < head.seq) {
    const page = await chain.rows(at.seq, Math.min(CHECK_PAGE, head.seq - at.seq));
    if (page.length === 0) return report(at.seq + 1);
    for (const row of page) {
      if (row.seq !== at.seq + 1 || row.hash !== hashOf(at, row)) return report(at.seq + 1);
      if (row.type === "prune") told = toldAnchor(row) ?? told;
      at = { seq: row.seq, hash: row.hash };
      rows++;
    }
    await breather();
  }
  if (at.hash !== head.hash) return report(Math.max(1, at.seq));
  if (last !== undefined && last > head.seq) return report(head.seq + 1);
  // Otherwise rows are gone from the beginning that nobody has told of.
  const isTold = anchor.seq === told.seq && anchor.hash === told.hash;
  return report(isTold ? undefined : told.seq + 1);
}

/** The end of a "prune" row's detail. */
function anchorText({ seq, hash }: AuditAnchor): string {
  return `to ${seq}, whose hash is ${hash}`;
}

function toldAnchor({ detail = "" }: AuditRow): AuditAnchor | undefined {
  const [, seq, hash] = /to (\d+), whose hash is (\S+)$/.exec(detail) ?? [];
  return hash === undefined ? undefined : { seq: Number(seq), hash };
}

function headDamaged(): TunnelError {
  return new TunnelError("unavailable", {
    action: "append to the audit trail",
    state: "its head is damaged",
    remedy: "restore the store from a backup",
  });
}

function hashOf(before: AuditAnchor, event: AuditEvent): string | undefined {
  // Someone may have written anything there.
  if (!BASE64URL_32.test(before.hash)) return undefined;
  return createHash("sha256").update(auditBytes(before, event)).digest("base64url");
}
