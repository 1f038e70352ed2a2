/** TCP connections by name, with every address tried and every wait cancellable. */

import { lookup } from "node:dns/promises";
import { throwIfAborted, untilAborted } from "../../core/deadline.ts";
import { describe, TunnelError } from "../../core/errors.ts";
import { staggered, withoutBrackets } from "../address.ts";

/**
 * Connects to the first address of `hostname` that answers (RFC 8305). An IPv6 address may be in
 * brackets.
 *
 * @param connect to an address
 * @throws {TunnelError} `unreachable`, or the signal's reason
 */
export async function connectByName<C extends { close(): void }>(
  hostname: string,
  port: number,
  signal: AbortSignal | undefined,
  connect: (address: string, signal: AbortSignal) => Promise<C>,
): Promise<C> {
  const action = `connect ${hostname}:${port}`;
  throwIfAborted(signal, action);
  try {
    const name = withoutBrackets(hostname);
    const addresses = await untilAborted(lookup(name, { all: true }), signal, action);
    return await staggered(
      addresses,
      signal,
      ({ address }, signal) => connect(address, signal),
      { discard: (late) => late.close() },
    );
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
    if (!(cause instanceof Error) || cause.name !== "BadResource") throw cause;
  }
}

function stateOf(cause: unknown): string {
  const { code, name } = cause as { code?: string; name?: string };
  // As Deno and Node call it.
  if (name === "ConnectionRefused" || code === "ECONNREFUSED") return "nothing listens there";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "the name has no address";
  return describe(cause);
}
