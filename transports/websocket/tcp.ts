/** TCP connections by name, with every address tried and every wait cancellable. */

import { lookup } from "node:dns/promises";
import { throwIfAborted, untilAborted } from "../../core/deadline.ts";
import { describe, TunnelError } from "../../core/errors.ts";
import { staggered } from "../address.ts";

/**
 * Connects to the first address of `hostname` that answers (RFC 8305); small writes go out at once.
 * An IPv6 address may be in brackets.
 *
 * @throws {TunnelError} `unreachable`, or the signal's reason
 */
export async function connectTcp(
  hostname: string,
  port: number,
  signal?: AbortSignal,
): Promise<Deno.TcpConn> {
  const action = `connect ${hostname}:${port}`;
  throwIfAborted(signal, action);
  try {
    const name = withoutBrackets(hostname);
    const addresses = await untilAborted(lookup(name, { all: true }), signal, action);
    const conn = await staggered(
      addresses,
      signal,
      ({ address }, signal) => Deno.connect({ hostname: address, port, signal }),
      { discard: (late) => late.close() },
    );
    conn.setNoDelay(true);
    return conn;
  } catch (cause) {
    throwIfAborted(signal, action);
    throw new TunnelError("unreachable", {
      action,
      state: stateOf(cause),
      remedy: "check the address, and that TCP may pass",
      cause,
    });
  }
}

/** Closes a connection that may be closed already. */
export function closeConn(conn: { close(): void }): void {
  try {
    conn.close();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.BadResource)) throw cause;
  }
}

/** `::1` for `[::1]`. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

function stateOf(cause: unknown): string {
  if (cause instanceof Deno.errors.ConnectionRefused) return "nothing listens there";
  const code = (cause as { code?: string }).code;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "the name has no address";
  return describe(cause);
}
