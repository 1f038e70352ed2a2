/**
 * Grants: which devices an operator may dial, and which targets there. A scope as people write it:
 *
 *     line3-*:22,443        two ports of every device whose ID starts with line3-
 *     x:192.168.0.5:3389    a port of a host beside x
 *     x:192.168.0.5:*       every port of that host
 *     *:*                   everything that the devices allow
 *
 * A target without a host is the device itself. What a grant gives, a device's own list can still
 * refuse.
 */

import { formatTarget, LOCAL_HOST } from "../allow.ts";
import { TunnelError } from "../errors.ts";
import { parseTarget, type Target } from "../names.ts";

/** Targets that one scope names at most. */
export const MAX_TARGETS = 32;
/** The scope of everything, on every device. */
export const EVERYTHING = "*:*";

const DEVICES = /^[a-z0-9*][a-z0-9._*-]{0,62}$/;

/** Devices and targets, both in their canonical spelling. */
export interface Scope {
  /** An ID in which `*` stands for any characters, none included. */
  readonly devices: string;
  /** `22,443,10.0.0.5:80,10.0.0.5:*`, or `*`. */
  readonly targets: string;
}

/** What an operator was given. */
export interface Grant {
  /** 8 characters of a-z and 2-7, for people to type. */
  readonly id: string;
  readonly operator: string;
  /** As {@linkcode formatScope} writes it. */
  readonly scope: string;
  /** When it ends, milliseconds since 1970; without it, when it is revoked. */
  readonly until?: number;
  /** When it was given, milliseconds since 1970. */
  readonly at: number;
  /** Who gave it: `local:root`, `operator:anna`. */
  readonly by: string;
}

/** @throws {TunnelError} `usage` */
export function parseScope(text: string): Scope {
  const colon = text.indexOf(":");
  const devices = text.slice(0, Math.max(0, colon));
  const items = text.slice(colon + 1).split(",");
  if (!DEVICES.test(devices) || items.length > MAX_TARGETS) throw notScope(text);
  try {
    const targets = [...new Set(items.map(canonicalItem))];
    return { devices, targets: targets.includes("*") ? "*" : targets.join(",") };
  } catch (cause) {
    throw notScope(text, cause);
  }
}

/** `DEVICES:TARGETS`, as {@linkcode parseScope} reads it. */
export function formatScope({ devices, targets }: Scope): string {
  return `${devices}:${targets}`;
}

/** Whether a scope has a target of a device. */
export function covers(scope: Scope, device: string, target: Target): boolean {
  if (!matches(scope.devices, device)) return false;
  if (scope.targets === "*") return true;
  const host = hostOf(target);
  const every = host === undefined ? undefined : `${formatTarget({ host, port: 0 }).slice(0, -1)}*`;
  const exact = formatTarget({ host, port: target.port });
  return scope.targets.split(",").some((item) => item === exact || item === every);
}

/** Whether a grant gives nothing any more at that instant. */
export function hasEnded({ until }: Pick<Grant, "until">, now: number): boolean {
  return until !== undefined && until <= now;
}

/** Whether a pattern of device IDs covers one. */
export function matches(pattern: string, device: string): boolean {
  // By hand and not by a regular expression: many stars make one of those slow.
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return pattern === device;
  const last = rest.pop()!;
  if (!device.startsWith(first) || device.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = device.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return device.length - last.length >= at && device.endsWith(last);
}

function canonicalItem(item: string): string {
  if (item === "*") return item;
  if (!item.endsWith(":*")) {
    const target = parseTarget(item);
    return formatTarget({ host: hostOf(target), port: target.port });
  }
  const { host } = parseTarget(`${item.slice(0, -1)}1`);
  if (hostOf({ host, port: 1 }) === undefined) throw notScope(item);
  return `${formatTarget({ host, port: 1 }).slice(0, -1)}*`;
}

/** Undefined for the device itself, however it is written. */
function hostOf({ host }: Target): string | undefined {
  const name = host?.toLowerCase().replace(/\.$/, "");
  return name === undefined || name === LOCAL_HOST || name === "localhost" ? undefined : name;
}

function notScope(text: string, cause?: unknown): TunnelError {
  return new TunnelError("usage", {
    action: "read a grant",
    state: `${JSON.stringify(text.slice(0, 80))} is not one`,
    remedy: "it is DEVICES:TARGETS, such as 'line3-*:22,443', 'x:10.0.0.5:80' or '*:*'",
    cause,
  });
}
