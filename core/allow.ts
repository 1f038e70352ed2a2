/** The device's own list of what it offers: checked at every dial, whatever the relay has said. */

import { TunnelError } from "./errors.ts";
import { forbiddenAddress } from "./forbidden.ts";
import { BENCH, canonicalHost, type Target } from "./names.ts";

export type { Target };

/** Where a target without a host is found. */
export const LOCAL_HOST = "127.0.0.1";

/** Offered when nothing else is allowed. */
export const DEFAULT_ALLOW: readonly Target[] = [{ port: 22 }];

/** The host and port to connect to for a target that the list has. */
export function allowedAddress(
  allow: readonly Target[],
  target: Target,
): { hostname: string; port: number } {
  const wanted = address(target);
  const found = allow.map(address).some((entry) =>
    entry.port === wanted.port && entry.hostname === wanted.hostname
  );
  if (found) return wanted;
  throw new TunnelError("target", {
    action: "dial",
    state: `the device does not allow ${
      formatTarget({ host: wanted.hostname, port: wanted.port })
    }`,
    remedy: `start it with --allow ${formatTarget(target)}`,
  });
}

/**
 * Has the last word on an address that a target of the list has led to, once it is resolved: what
 * nobody means by accident must be named on the list itself.
 *
 * @throws {TunnelError} `target`
 */
export function checkAddress(
  allow: readonly Target[],
  { hostname, port }: { hostname: string; port: number },
  ip: string,
): void {
  const what = forbiddenAddress(ip);
  if (what === undefined) return;
  const host = canonicalHost(ip.replace(/%.*$/, "")) ?? ip;
  const isNamed = allow.map(address).some((entry) =>
    entry.port === port && entry.hostname === host
  );
  if (isNamed) return;
  throw new TunnelError("target", {
    action: `connect to ${formatTarget({ host: hostname, port })}`,
    state: `the device does not connect to ${ip}, ${what}`,
    remedy: `if it is meant, start it with --allow ${formatTarget({ host, port })}`,
  });
}

/** A target as people write it: `22`, `printer:9100`, `[fe80::1]:80`, `bench`. */
export function formatTarget({ host, port }: Target): string {
  if (!host) return String(port);
  if (host === BENCH.host && port === BENCH.port) return "bench";
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function address({ host, port }: Target) {
  const hostname = (host ?? LOCAL_HOST).toLowerCase().replace(/\.$/, "");
  return { hostname: hostname === "localhost" ? LOCAL_HOST : hostname, port };
}
