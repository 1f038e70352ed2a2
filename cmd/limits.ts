/** `--limit NAME=VALUE`: the relay's limits as people write them. */

import type { Rate } from "../core/bucket.ts";
import { TunnelError } from "../core/errors.ts";
import { parseDuration } from "../core/names.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "../core/relay/limits.ts";
import { RELAY_LIMITS } from "../core/transport.ts";
import { parseCount } from "./parse.ts";
import { table } from "./table.ts";

/** The limits of the relay, and those of its sessions. */
export interface ChosenLimits extends Partial<RelayLimits> {
  streams?: number;
}

type Key = keyof ChosenLimits;

interface Option {
  readonly key: Key;
  readonly parse: (text: string) => number | Rate;
  readonly meaning: string;
}

const MOST = 1_000_000;
/** The least bandwidth: less would leave a single block waiting for more than a minute. */
const LEAST_BANDWIDTH = 1_024;
/** A greeting of the largest size, with its length in front. */
const LEAST_GREETING = 8_196;

const count = (text: string) => parseCount(text, 1, MOST);

/** Every limit, in the order in which a connection meets it. */
const OPTIONS: Readonly<Record<string, Option>> = {
  "sessions": { key: "sessions", parse: count, meaning: "sessions of the relay" },
  "pending": { key: "pending", parse: count, meaning: "of them, those that have not signed in" },
  "handshakes": {
    key: "handshakes",
    parse: count,
    meaning: "of them, by UDP before the end of their handshake",
  },
  "address-pending": {
    key: "addressPending",
    parse: count,
    meaning: "connections of one address that have not signed in",
  },
  "address-rate": {
    key: "addressRate",
    parse: parseRate,
    meaning: "connections of one address (IPv6: of a /64)",
  },
  "sign-in-time": { key: "signInTimeout", parse: parseDuration, meaning: "time for a sign-in" },
  "sign-in-bytes": {
    key: "signInBytes",
    parse: (text) => parseSize(text, LEAST_GREETING),
    meaning: "bytes that may come before a sign-in is done",
  },
  "join-failures": {
    key: "joinFailures",
    parse: parseRate,
    meaning: "joins of one address that may fail",
  },
  "join-pause": {
    key: "joinPause",
    parse: parseDuration,
    meaning: "how long no joins are taken from it after that",
  },
  "operator-sessions": {
    key: "operatorSessions",
    parse: count,
    meaning: "sessions of one operator",
  },
  "device-sessions": {
    key: "deviceSessions",
    parse: count,
    meaning: "sessions of one device's process",
  },
  "streams": {
    key: "streams",
    parse: (text) => parseCount(text, 1, 1_000),
    meaning: "streams that a session may have open",
  },
  "requests": { key: "requests", parse: parseRate, meaning: "requests of one session" },
  "operator-dials": {
    key: "operatorDials",
    parse: count,
    meaning: "connections of one operator at once",
  },
  "dials": { key: "dials", parse: count, meaning: "connections at once" },
  "dial-rate": { key: "dialRate", parse: parseRate, meaning: "new connections of one operator" },
  "dial-connections": {
    key: "dialConnections",
    parse: count,
    meaning: "connections of one dial at once; 1: each is a dial",
  },
  "dial-time": { key: "dialTimeout", parse: parseDuration, meaning: "time for a device's answer" },
  "approval-time": {
    key: "approvalTimeout",
    parse: parseDuration,
    meaning: "time for somebody to decide, where a device asks",
  },
  "approvals": { key: "approvals", parse: count, meaning: "connections that wait for that" },
  "device-approvals": {
    key: "approvalsPerDevice",
    parse: count,
    meaning: "of them, those of one device",
  },
  "operator-bandwidth": {
    key: "operatorBandwidth",
    parse: parseBandwidth,
    meaning: "bytes per second of one operator, both ways together",
  },
  "device-bandwidth": {
    key: "deviceBandwidth",
    parse: parseBandwidth,
    meaning: "bytes per second of one device, both ways together",
  },
  "bandwidth": {
    key: "bandwidth",
    parse: parseBandwidth,
    meaning: "bytes per second of the relay, both ways together",
  },
};

/**
 * Limits as they were given, each `NAME=VALUE`; of one that is named twice the last counts.
 *
 * @throws {TunnelError} `usage`, with the name of the limit
 */
export function parseLimits(given: readonly string[] = []): ChosenLimits {
  const limits: Record<string, number | Rate | undefined> = {};
  for (const text of given) {
    const [, name = text, value = ""] = text.match(/^([^=]*)=(.*)$/) ?? [];
    const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (!option) {
      throw new TunnelError("usage", {
        action: "read --limit",
        state: `there is no limit ${JSON.stringify(name.slice(0, 80))}`,
        remedy: "write NAME=VALUE; see tunnel relay --limits",
      });
    }
    limits[option.key] = parseValue(name, value, option);
  }
  return limits;
}

/** What there is to limit, with the defaults. */
export function listLimits(): string {
  const rows = Object.entries(OPTIONS).map(([name, { key, parse, meaning }]) => {
    const value = key === "streams" ? RELAY_LIMITS.streams : DEFAULT_RELAY_LIMITS[key];
    return [`${name}=${format(value, parse)}`, meaning];
  });
  return `${table(rows)}\n\n${FORMS}`;
}

const FORMS =
  `Rates are COUNT/s, COUNT/m or COUNT/h, and :COUNT for how many may come at once (default: as
many as two seconds bring). Times are 10s, 1m, 2h; sizes bytes, or K, M, G of 1,024. A bandwidth
that is off has no limit.`;

function parseValue(name: string, value: string, option: Option): number | Rate | undefined {
  if (option.parse === parseBandwidth && value === "off") return undefined;
  try {
    return option.parse(value);
  } catch (cause) {
    if (!(cause instanceof TunnelError)) throw cause;
    throw new TunnelError("usage", { ...cause.parts, action: `read --limit ${name}`, cause });
  }
}

/** `10/s`, `10/m:100`. */
function parseRate(text: string): Rate {
  const [, amount, unit, most] = text.match(/^([1-9]\d{0,6})\/([smh])(?::([1-9]\d{0,6}))?$/) ?? [];
  if (amount === undefined) throw bad(text, "a rate is COUNT/s, COUNT/m or COUNT/h[:COUNT]");
  const perSecond = Number(amount) / { s: 1, m: 60, h: 3_600 }[unit as "s" | "m" | "h"];
  return { perSecond, burst: most ? Number(most) : Math.max(1, Math.ceil(2 * perSecond)) };
}

/** `4096`, `64K`, `50M`, `1G`. */
function parseSize(text: string, least: number): number {
  const [, amount, unit] = text.match(/^([1-9]\d{0,11})([KMG]?)$/) ?? [];
  const bytes = Number(amount) * { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[unit ?? ""]!;
  if (bytes >= least) return bytes;
  throw bad(text, `a size is bytes, or K, M, G of 1,024, ${least} at least`);
}

function parseBandwidth(text: string): number {
  return parseSize(text, LEAST_BANDWIDTH);
}

function bad(text: string, rule: string): TunnelError {
  const state = `${JSON.stringify(text.slice(0, 80))} is not one`;
  return new TunnelError("usage", { action: "read a limit", state, remedy: rule });
}

function format(value: number | Rate | undefined, parse: Option["parse"]): string {
  if (value === undefined) return "off";
  if (typeof value === "object") {
    const { perSecond, burst } = value;
    const rate = perSecond >= 1 ? `${perSecond}/s` : `${Math.round(perSecond * 60)}/m`;
    return `${rate}:${burst}`;
  }
  return parse === parseDuration ? `${value / 1_000}s` : String(value);
}
