/** The device's own list of what it offers: checked at every dial, whatever the relay has said. */

import { TunnelError } from "./errors.ts";
import type { Target } from "./names.ts";

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
    state: `the device does not allow ${wanted.hostname}:${wanted.port}`,
    remedy: `start it with --allow ${target.host ? `${target.host}:` : ""}${target.port}`,
  });
}

/** A target as people write it: `22`, `printer:9100`, `[fe80::1]:80`. */
export function formatTarget({ host, port }: Target): string {
  if (!host) return String(port);
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function address({ host, port }: Target) {
  const hostname = (host ?? LOCAL_HOST).toLowerCase().replace(/\.$/, "");
  return { hostname: hostname === "localhost" ? LOCAL_HOST : hostname, port };
}
