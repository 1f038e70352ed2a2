/** IP addresses as the bytes that they are. */

import { canonicalHost } from "./names.ts";

/**
 * The 4 or 16 bytes of an IP address; undefined where it is none. A zone (`%eth0`) says where an
 * address is looked for, not what it is.
 */
export function ipBytes(text: string): Uint8Array | undefined {
  const host = canonicalHost(text.replace(/%.*$/, ""));
  if (!host) return undefined;
  if (!host.includes(":")) {
    return /^[0-9.]+$/.test(host) ? Uint8Array.from(host.split("."), Number) : undefined;
  }
  const [head, tail] = host.split("::").map((part) => part.split(":").filter(Boolean));
  const rest = tail ?? [];
  const zeros = Array(8 - head!.length - rest.length).fill("0");
  const groups = [...head!, ...zeros, ...rest].map((group) => parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}
