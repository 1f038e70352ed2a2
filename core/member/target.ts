/** Targets as programs name them. */

import { TunnelError } from "../errors.ts";
import { parseTarget, type Target } from "../names.ts";

/**
 * `22`, `"22"`, `"printer:9100"` or `{ host: "printer", port: 9100 }`.
 *
 * @throws {TunnelError} `usage`
 */
export function targetOf(target: number | string | Target): Target {
  if (typeof target === "string") return parseTarget(target);
  const { host, port } = typeof target === "number" ? { host: undefined, port: target } : target;
  if (typeof port !== "number") {
    throw new TunnelError("usage", {
      action: "read a target",
      state: "it has no port",
      remedy: "name a port from 1 to 65535, or host:port",
    });
  }
  if (host === undefined) return parseTarget(String(port));
  return parseTarget(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
}
