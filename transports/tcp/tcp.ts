/**
 * The local side of a tunnel: TCP sockets as {@linkcode Duplex}, dialled by a device and accepted by
 * a service. Half-open connections are kept, Nagle's algorithm is off.
 */

import net from "node:net";
import type { Duplex } from "../../core/duplex.ts";
import * as deno from "./deno.ts";
import * as node from "./node.ts";

/**
 * Connects to a target: to the first address of its name that answers (RFC 8305), of those that
 * `permit` does not throw at. The name is resolved once, so that what was permitted is what is
 * connected to.
 *
 * @throws {TunnelError} `reset` with the system's reason, what `permit` threw if it leaves no address,
 * or the signal's reason
 */
export type ConnectTcp = (
  address: { hostname: string; port: number },
  signal: AbortSignal,
  permit?: (ip: string) => void,
) => Promise<Duplex>;

/** A local listener. */
export interface TcpListener extends AsyncDisposable {
  readonly hostname: string;
  readonly port: number;
  /** Stops accepting; open connections go on. */
  close(): Promise<void>;
}

/**
 * Listens; each connection is handed to `onConnection`. Port 0 picks a free one.
 *
 * @throws {TunnelError} `unavailable` when the address cannot be bound
 */
export type ListenTcp = (
  address: { hostname: string; port: number },
  onConnection: (socket: Duplex) => void,
) => Promise<TcpListener>;

// Deno before 2.9 can send no RST by either, and its node:net delivers bytes out of order when it is
// paused often (seen with 2.7.11; tcp_test.ts has the case).
const { connectTcp: connect, listenTcp: listen } =
  typeof net.Socket.prototype.resetAndDestroy === "function" ? node : deno;

export const connectTcp: ConnectTcp = connect;
export const listenTcp: ListenTcp = listen;
