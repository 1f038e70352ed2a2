/** Alterations of text, and of values that become JSON. */

import type { Random } from "../random.ts";
import { BOUNDARIES } from "./mutate.ts";

/** Pieces on which parsers of words and heads trip. */
const PIECES: readonly string[] = [
  "\ud800",
  "\udfff",
  "\0",
  "\n",
  "\r\n",
  "\r\n\r\n",
  "\u001b[31m",
  "\u009b31m",
  "\u2028",
  "\u202e",
  "\ufeff",
  "\u00a0",
  "\u212a",
  "\u0130",
  "%00",
  "%zz",
  "..",
  "/",
  "\\",
  "@",
  ":",
  "::",
  "[",
  "]",
  "#",
  "?",
  "*",
  ",",
  "=",
  "--",
  '"',
  "0x7f",
  "007",
  "-0",
  "1e9",
  "tj1.",
  "__proto__",
  "constructor",
  "prototype",
];

/** The text with one to four alterations; one in sixteen comes back as it was. */
export function mutateText(
  text: string,
  random: Random,
  others: readonly string[] = [text],
): string {
  if (random.below(16) === 0) return text;
  for (let times = 1 + random.below(4); times > 0; times--) {
    text = alter(text, random, random.pick(others));
  }
  return text;
}

/**
 * A value like the one given, as JSON: members exchanged for others of every kind, left out, added,
 * nested too deep; and at times no JSON at all.
 */
export function mutateJson(value: unknown, random: Random): string {
  if (random.below(16) === 0) return JSON.stringify(value);
  let altered = value;
  for (let times = 1 + random.below(3); times > 0; times--) altered = alterValue(altered, random);
  let text = JSON.stringify(altered) ?? "null";
  // What JSON can say and no value of the language can.
  if (random.below(8) === 0) {
    const odd = random.pick(["1e400", "-0", "1e-400", "01"]);
    text = text.replace(/:\d+/g, (number) => random.below(3) === 0 ? `:${odd}` : number);
  }
  if (random.below(8) === 0) text = text.replace("{", '{"__proto__":{"type":"x"},');
  if (random.below(16) === 0) text = deep(random) + text;
  return random.below(8) === 0 ? mutateText(text, random) : text;
}

/** A piece, a boundary or a run in some place of the text, or a part of it gone or repeated. */
function alter(text: string, random: Random, other: string): string {
  const at = random.below(text.length + 1);
  const end = at + random.below(Math.min(text.length - at, 40) + 1);
  const insert = (piece: string) => text.slice(0, at) + piece + text.slice(at);
  switch (random.below(9)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + text.slice(end);
    case 2:
      return insert(text.slice(at, end));
    case 3:
      return insert(String(random.pick(BOUNDARIES)));
    case 4:
      return text.slice(0, at) + random.pick(PIECES) + text.slice(at + 1);
    case 5:
      return insert(other.slice(random.below(other.length + 1)));
    case 6:
      return insert(random.pick(["a", "0", ".", "[", " ", "-", "\r"]).repeat(runLength(random)));
    case 7:
      return text.slice(0, at) + swapCase(text.slice(at, end)) + text.slice(end);
    default:
      return insert(random.pick(PIECES));
  }
}

function alterValue(value: unknown, random: Random): unknown {
  if (typeof value !== "object" || value === null || random.below(4) === 0) {
    return random.below(3) === 0 && typeof value === "string"
      ? mutateText(value, random)
      : strange(random);
  }
  if (Array.isArray(value)) {
    if (value.length === 0 || random.below(3) === 0) return [...value, strange(random)];
    const at = random.below(value.length);
    return value.with(at, alterValue(value[at], random));
  }
  const entries = Object.entries(value);
  const at = random.below(entries.length || 1);
  const entry = entries[at];
  if (!entry || random.below(8) === 0) entries.push([random.pick(PIECES), strange(random)]);
  else if (random.below(6) === 0) entries.splice(at, 1);
  else if (random.below(7) === 0) entry[0] += random.pick(PIECES);
  else entry[1] = alterValue(entry[1], random);
  return Object.fromEntries(entries);
}

/** A value that nobody expects there. */
function strange(random: Random): unknown {
  switch (random.below(8)) {
    case 0:
      return random.pick(BOUNDARIES) * random.pick([1, -1, 0.5]);
    case 1:
      return random.pick([null, true, false, "", [], {}]);
    case 2:
      return "a".repeat(runLength(random));
    case 3:
      return random.pick(PIECES);
    case 4:
      return Array.from({ length: random.below(300) }, () => 0);
    case 5:
      return { type: random.pick(PIECES) };
    case 6:
      return String(random.pick(BOUNDARIES));
    default:
      return [[[[random.below(10)]]]];
  }
}

function deep(random: Random): string {
  const times = runLength(random) * 4;
  return random.pick(["[", '{"a":', '["', "-"]).repeat(times);
}

function runLength(random: Random): number {
  return random.below(16) === 0 ? random.below(20_000) : random.below(300);
}

function swapCase(text: string): string {
  return [...text].map((char) =>
    char === char.toLowerCase() ? char.toUpperCase() : char.toLowerCase()
  )
    .join("");
}
