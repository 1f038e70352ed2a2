/** Connections by name: resolved once, every address judged, and none but those connected to. */

import { lookup as systemLookup } from "node:dns/promises";
import { isIP } from "node:net";
import { untilAborted } from "../../core/deadline.ts";
import type { Duplex } from "../../core/duplex.ts";
import { describe, TunnelError } from "../../core/errors.ts";
import { staggered } from "../address.ts";
import type { ConnectTcp } from "./contract.ts";

/** The addresses of a name, best first. */
export type Lookup = (hostname: string) => Promise<string[]>;

/** Makes a way to connect to names of one to connect to addresses. */
export function byName(
  connect: (ip: string, port: number, signal: AbortSignal) => Promise<Duplex>,
  lookup: Lookup = lookupAll,
): ConnectTcp {
  return async ({ hostname, port }, signal, permit = () => {}) => {
    const found = isIP(hostname)
      ? [hostname]
      : await untilAborted(lookup(hostname), signal, `resolve ${hostname}`);
    const addresses = permitted(found, permit);
    return await staggered(addresses, signal, (ip, signal) => connect(ip, port, signal), {
      discard: (late) => late.reset(tooLate()),
    });
  };
}

/** Leaves out what is not permitted; throws as `permit` did where nothing is left. */
function permitted(addresses: readonly string[], permit: (ip: string) => void): string[] {
  const left: string[] = [];
  let refusal: unknown;
  for (const ip of addresses) {
    try {
      permit(ip);
      left.push(ip);
    } catch (cause) {
      refusal ??= cause;
    }
  }
  if (left.length > 0) return left;
  throw refusal ?? unknownName("it has no address");
}

async function lookupAll(hostname: string): Promise<string[]> {
  try {
    return (await systemLookup(hostname, { all: true })).map(({ address }) => address);
  } catch (cause) {
    const { code } = cause as { code?: string };
    const isUnknown = code === "ENOTFOUND" || code === "EAI_AGAIN";
    throw unknownName(isUnknown ? "the host name is unknown" : describe(cause), cause);
  }
}

function unknownName(state: string, cause?: unknown): TunnelError {
  return new TunnelError("reset", { action: "resolve a name", state, cause });
}

function tooLate(): TunnelError {
  return new TunnelError("reset", { action: "connect", state: "another address was faster" });
}
