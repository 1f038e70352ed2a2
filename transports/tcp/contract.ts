/** What local TCP sockets are to a tunnel, whatever makes them. */

import type { Duplex, ReadAhead } from "../../core/duplex.ts";
import type { OnShortage } from "../shortage.ts";

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
 * Listens; each connection is handed to `onConnection`, its first read under way, and where the runtime
 * can tell not before it is known whether anything has come with it. Port 0 picks a free one.
 *
 * @throws {TunnelError} `unavailable` when the address cannot be bound
 */
export type ListenTcp = (
  address: { hostname: string; port: number; onShortage?: OnShortage },
  onConnection: (socket: ReadAhead) => void,
) => Promise<TcpListener>;
