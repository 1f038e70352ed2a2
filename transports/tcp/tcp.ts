/**
 * The local side of a tunnel: TCP sockets as {@linkcode Duplex}, dialled by a device and accepted by
 * a service. Half-open connections are kept, Nagle's algorithm is off.
 */

import net from "node:net";
import { libc } from "../system/libc.ts";
import type { ConnectTcp, ListenTcp } from "./contract.ts";
import * as deno from "./deno.ts";
import * as node from "./node.ts";

export type { ConnectTcp, ListenTcp, TcpListener } from "./contract.ts";

// Deno's own are quicker, but can send a RST only by the C library, where that may be called. `node:net`
// of Deno before 2.9 can send none either, and delivers bytes out of order when it is paused often
// (seen with 2.7.11; tcp_test.ts has the case).
const { connectTcp: connect, listenTcp: listen } = libc() || !canReset() ? deno : node;

export const connectTcp: ConnectTcp = connect;
export const listenTcp: ListenTcp = listen;

function canReset(): boolean {
  return typeof net.Socket.prototype.resetAndDestroy === "function";
}
