/**
 * Sessions over WebSocket and TLS on TCP: the fallback where UDP is blocked, and what passes HTTP
 * proxies.
 */

import type { Transport } from "../../core/transport.ts";
import { connect } from "./client.ts";
import { listen, type RequestHandler } from "./listener.ts";
import { denoSockets } from "./sockets_deno.ts";

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
    connect: (url, options) => connect(url, options, { env, sockets: denoSockets }),
    listen: (options) => listen(options, onRequest),
  };
}

function notFound() {
  return { status: 404, body: "This is a tunnel relay; there is no page here.\n" };
}
