/** The words a person types: names, ports, targets, durations, relay URLs. One rule for each. */

import { quote, TunnelError } from "./errors.ts";

/** What a device ID, and an operator's name, looks like: 1 to 63 characters. */
export const DEVICE_ID = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** The port of a relay URL that names none. */
export const DEFAULT_RELAY_PORT = 443;

/** The longest duration {@linkcode parseDuration} takes: ten years, in milliseconds. */
export const MAX_DURATION = 3_650 * 86_400_000;

/** UTF-16 code units that the reason for a dial may have. */
export const MAX_REASON = 200;

/**
 * What the reason for a dial looks like: something to read, and nothing that moves a terminal's
 * cursor, ends a line of a log, or turns the order of what is read.
 */
export const REASON = /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+$/u;

/** Where a device is asked to connect; without a host it is the device itself. */
export interface Target {
  host?: string;
  port: number;
}

/**
 * What `bench` among targets stands for: a target inside the device, for `tunnel bench`. The host can
 * be no other's (RFC 6761, section 6.4), and a device that does not know it refuses it like any other.
 */
export const BENCH: Readonly<Required<Target>> = { host: "bench.invalid", port: 1 };

/** @throws {TunnelError} `usage` */
export function parseDeviceId(text: string): string {
  return parseName(text, "a device ID");
}

/** @throws {TunnelError} `usage` */
export function parseOperatorName(text: string): string {
  return parseName(text, "an operator's name");
}

/**
 * A TCP or UDP port, 1 to 65535, in plain decimal: no sign, no leading zero, no other base.
 *
 * @throws {TunnelError} `usage`
 */
export function parsePort(text: string): number {
  const port = /^[1-9][0-9]{0,4}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw usage("read a port", text, "a port is a whole number from 1 to 65535");
  }
  return port;
}

/**
 * `22`, `10.0.0.5:80`, `printer.local:9100` or `[::1]:22`; `bench` is {@linkcode BENCH}. The host comes
 * back in lower case, an IPv6 address without its brackets and in its shortest form (RFC 5952).
 *
 * @throws {TunnelError} `usage`
 */
export function parseTarget(text: string): Target {
  if (text === "bench") return { ...BENCH };
  const parts = /^(?:(\[[^\]]*\]|[^:]*):)?([^:\]]*)$/.exec(text);
  const port = parts && tryParse(() => parsePort(parts[2]!));
  const host = parts?.[1] === undefined ? undefined : canonicalHost(parts[1]);
  if (!port || host === null) {
    throw usage(
      "read a target",
      text,
      "a target is port, host:port or [IPv6]:port, with a port from 1 to 65535",
    );
  }
  return host === undefined ? { port } : { host, port };
}

/**
 * Why somebody dials, in their own words.
 *
 * @throws {TunnelError} `usage`
 */
export function parseReason(text: string): string {
  if (text.length <= MAX_REASON && REASON.test(text)) return text;
  throw usage(
    "read a reason",
    text,
    `a reason has 1 to ${MAX_REASON} characters, no control characters and no line breaks`,
  );
}

/**
 * `90s`, `30m`, `1h` or `7d`, in milliseconds: a whole number above 0, at most ten years.
 *
 * @throws {TunnelError} `usage`
 */
export function parseDuration(text: string): number {
  const parts = /^([1-9][0-9]{0,8})([smhd])$/.exec(text);
  const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[parts?.[2] ?? ""] ?? 0;
  const ms = Number(parts?.[1]) * unit;
  if (!(ms > 0 && ms <= MAX_DURATION)) {
    throw usage(
      "read a duration",
      text,
      "a duration is a whole number and s, m, h or d (90s, 30m, 1h, 7d), at most 3650d",
    );
  }
  return ms;
}

/**
 * `tunnel://host` or `tunnel://host:port` and nothing behind it. The URL's host comes back in lower
 * case.
 *
 * @throws {TunnelError} `usage`
 */
export function parseRelayUrl(text: string): URL {
  const parts = /^tunnel:\/\/(\[[^\]/?#@]*\]|[^:/?#@[\]]+)(?::([0-9]*))?\/?$/i.exec(text);
  const host = parts && canonicalHost(parts[1]!);
  const port = parts?.[2] === undefined ? undefined : tryParse(() => parsePort(parts[2]!));
  if (!host || port === null) {
    throw usage(
      "read a relay's URL",
      text,
      "it is tunnel://host or tunnel://host:port, with a port from 1 to 65535",
    );
  }
  const authority = host.includes(":") ? `[${host}]` : host;
  return new URL(`tunnel://${authority}${port === undefined ? "" : `:${port}`}`);
}

/**
 * A host as it is compared: names in lower case, IPv6 without brackets in its shortest form (RFC
 * 5952), IPv4 only as four decimal numbers. Null for what is none of these: `0x7f.1` and `127.1`
 * mean 127.0.0.1 to some resolvers and something else to others, so they are no host here.
 */
export function canonicalHost(text: string): string | null {
  const bracketed = text.startsWith("[") && text.endsWith("]");
  const inner = (bracketed ? text.slice(1, -1) : text).toLowerCase();
  if (inner.includes(":")) return /^[0-9a-f:.]{2,45}$/.test(inner) ? canonicalIPv6(inner) : null;
  if (bracketed || inner.length > 253) return null;
  const labels = inner.split(".");
  if (!labels.every((label) => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/.test(label))) return null;
  // A last label that is a number makes it an address (WHATWG URL, "ends in a number").
  if (!/^([0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1)!)) return inner;
  const octet = /^(0|[1-9][0-9]{0,2})$/;
  const address = labels.length === 4 && labels.every((l) => octet.test(l) && Number(l) <= 255);
  return address ? inner : null;
}

function canonicalIPv6(text: string): string | null {
  try {
    return new URL(`http://[${text}]/`).hostname.slice(1, -1);
  } catch {
    // The URL parser's refusal is the answer: it is not an IPv6 address.
    return null;
  }
}

function parseName(text: string, kind: string): string {
  if (!DEVICE_ID.test(text)) {
    throw usage(
      `read ${kind}`,
      text,
      "it is 1 to 63 of a-z, 0-9, '.', '_' and '-', and starts with a letter or digit",
    );
  }
  return text;
}

function tryParse(parse: () => number): number | null {
  try {
    return parse();
  } catch {
    // The caller's own error names the whole text, of which this is a part.
    return null;
  }
}

function usage(action: string, text: string, rule: string): TunnelError {
  return new TunnelError("usage", { action, state: `${quote(text)} is not one`, remedy: rule });
}
