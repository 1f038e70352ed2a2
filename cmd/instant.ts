/** Instants as people give and read them. */

import { quote, TunnelError } from "../core/errors.ts";
import { parseDuration } from "../core/names.ts";

const ISO = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/;

/**
 * When something ends: a duration from now (`8h`), or an instant in ISO 8601; a date alone is its
 * first moment, UTC. In milliseconds since 1970.
 *
 * @throws {TunnelError} `usage`
 */
export function parseUntil(text: string, now: number): number {
  return isDuration(text) ? now + parseDuration(text) : parseInstant(text);
}

/** The same for when something began: a duration before now. */
export function parseSince(text: string, now: number): number {
  return isDuration(text) ? Math.max(0, now - parseDuration(text)) : parseInstant(text);
}

/** In ISO 8601, UTC. */
export function formatInstant(at: number): string {
  return new Date(at).toISOString();
}

function isDuration(text: string): boolean {
  return /^\d+[a-z]$/.test(text);
}

function parseInstant(text: string): number {
  const date = ISO.exec(text)?.[1];
  const at = date === undefined ? NaN : Date.parse(text);
  // A 30th of February is taken for a day in March by some.
  if (at >= 0 && new Date(`${date}T00:00:00Z`).toISOString().startsWith(date!)) return at;
  throw new TunnelError("usage", {
    action: "read a time",
    state: `${quote(text)} is not one`,
    remedy: "it is a duration such as 8h, or an instant such as 2026-01-31T18:00:00Z",
  });
}
