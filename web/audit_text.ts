/** The details of a row of the audit trail in one line. */

import type { AuditRow } from "../core/policy/audit.ts";
import { bytes, milliseconds } from "./format.ts";

/** Empty when the row has none. Text as it came, to be shown as text. */
export function formatDetails(row: AuditRow): string {
  const { device, operator, target, why, reason, sent, received, took, detail, from } = row;
  const parts: [string, string | undefined][] = [
    ["device", device],
    ["operator", operator],
    ["target", target],
    ["", detail],
    ["reason", reason],
    ["why", why],
    ["sent", sent === undefined ? undefined : bytes(sent)],
    ["received", received === undefined ? undefined : bytes(received)],
    ["took", took === undefined ? undefined : milliseconds(took)],
    ["from", from],
  ];
  return parts.filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => name ? `${name} ${value}` : value)
    .join(" · ");
}
