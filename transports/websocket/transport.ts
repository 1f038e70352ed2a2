/**
 * Sessions over WebSocket and TLS on TCP: the fallback where UDP is blocked, and what passes HTTP
 * proxies.
 */

import type { ConnectOptions, Session, Transport } from "../../core/transport.ts";
import { portOf } from "../address.ts";
import { proxyFor } from "../proxy.ts";
import { dial } from "./dial.ts";
import { listen, type RequestHandler } from "./listener.ts";
import { MAX_MESSAGE } from "./mux/batch.ts";
import { multiplex } from "./mux/session.ts";
import { WebSocketConnection } from "./socket.ts";
import { withoutBrackets } from "./tcp.ts";

export type { RequestHandler } from "./listener.ts";
export type { HttpResponse, RequestHead } from "./http.ts";

export interface WebSocketTransportOptions {
  /** Answers requests that are none for a tunnel; without it they get a 404. */
  onRequest?: RequestHandler;
  /** Looks up environment variables, for the proxy; by default the process's own. */
  env?: (name: string) => string | undefined;
}

/** The WebSocket transport with its defaults. */
export const websocket: Transport = websocketTransport();

/** The WebSocket transport (RFC 6455) with a multiplexer of our own on top (mux/frame.ts). */
export function websocketTransport(options: WebSocketTransportOptions = {}): Transport {
  const { onRequest = notFound, env = (name) => Deno.env.get(name) } = options;
  return {
    name: "websocket",
    connect: (url, options) => connect(url, options, env),
    listen: (options) => listen(options, onRequest),
  };
}

async function connect(
  url: URL,
  options: ConnectOptions = {},
  env: (name: string) => string | undefined,
): Promise<Session> {
  const { signal, caCerts, limits } = options;
  const proxy = proxyFor(url, { proxy: options.proxy, env });
  const { conn, rest } = await dial(url, { signal, caCerts, proxy });
  const socket = new WebSocketConnection(conn, { role: "client", maxMessage: MAX_MESSAGE, rest });
  const remote = { hostname: withoutBrackets(url.hostname), port: portOf(url) };
  return multiplex(socket, { role: "client", transport: "websocket", remote, limits });
}

function notFound() {
  return { status: 404, body: "This is a tunnel relay; there is no page here.\n" };
}
