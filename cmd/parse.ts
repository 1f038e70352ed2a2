/** The forms of option values that only the command line knows. */

import { quote, TunnelError } from "../core/errors.ts";
import { canonicalHost } from "../core/names.ts";

/** A whole number from `least` to `most`. */
export function parseCount(text: string, least: number, most: number): number {
  const count = /^\d{1,12}$/.test(text) ? Number(text) : NaN;
  if (count >= least && count <= most) return count;
  throw new TunnelError("usage", {
    action: "read a number",
    state: `${quote(text)} is not one from ${least} to ${most}`,
  });
}

/** Where to listen: `PORT`, or `HOST:PORT` with an IPv6 host in brackets; port 0 is a free one. */
export function parseListen(text: string, host: string): { hostname: string; port: number } {
  const [, named, digits] = text.match(/^(?:(\[[^\]]*\]|[^:]*):)?(\d{1,5})$/) ?? [];
  const port = Number(digits ?? NaN);
  const hostname = named === undefined ? host : canonicalHost(named);
  if (hostname && port <= 65_535) return { hostname, port };
  throw new TunnelError("usage", {
    action: "read an address to listen on",
    state: `${quote(text)} is not one`,
    remedy: "it is PORT or HOST:PORT, with a port from 0 to 65535",
  });
}
