/** The multiplexer over a channel: no transport, so nothing that watches over one. */

import type { Duplex } from "../duplex.ts";
import { ByteSocket } from "../mux/byte_socket.ts";
import { multiplex, type Multiplexed } from "../mux/session.ts";

/** Connections that a device takes in one channel at once. */
export const MAX_CONNECTIONS = 256;

/**
 * @param channel owned from now on
 * @param streams that the other end may open at once
 */
export function shareChannel(
  channel: Duplex,
  role: "client" | "server",
  streams: number,
): Multiplexed {
  // A channel without a path is silent, and whole: it says itself when it is over.
  const limits = { streams, keepAlive: Infinity, idleTimeout: Infinity };
  const remote = { hostname: "channel", port: 0 };
  return multiplex(new ByteSocket(channel), { role, transport: "channel", remote, limits });
}
