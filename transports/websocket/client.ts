/** The client's side of a session over WebSocket, on the sockets of whatever runtime. */

import type { ConnectOptions, Session } from "../../core/transport.ts";
import { portOf, withoutBrackets } from "../address.ts";
import { proxyFor } from "../proxy.ts";
import { dial } from "./dial.ts";
import { MAX_MESSAGE } from "../../core/mux/batch.ts";
import { multiplex } from "../../core/mux/session.ts";
import { type ByteConn, WebSocketConnection } from "./socket.ts";
import type { Sockets } from "./sockets.ts";

export interface ClientOptions<C extends ByteConn> {
  readonly sockets: Sockets<C>;
  /** Looks up environment variables, for the proxy. */
  readonly env: (name: string) => string | undefined;
}

/** @throws {TunnelError} `unreachable`, `usage`, `timeout`, or the signal's reason */
export async function connect<C extends ByteConn>(
  url: URL,
  options: ConnectOptions = {},
  { sockets, env }: ClientOptions<C>,
): Promise<Session> {
  const { signal, caCerts, limits } = options;
  const proxy = proxyFor(url, { proxy: options.proxy, env });
  const { conn, rest } = await dial(url, { signal, caCerts, proxy }, sockets);
  const socket = new WebSocketConnection(conn, { role: "client", maxMessage: MAX_MESSAGE, rest });
  const remote = { hostname: withoutBrackets(url.hostname), port: portOf(url) };
  return multiplex(socket, { role: "client", transport: "websocket", remote, limits });
}
