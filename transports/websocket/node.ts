/** Sessions over WebSocket from Node: the client's side alone. */

import { env } from "node:process";
import type { Transport } from "../../core/transport.ts";
import { clientOnly } from "../client_only.ts";
import { connect } from "./client.ts";
import { nodeSockets } from "./sockets_node.ts";

/** The same WebSocket and multiplexer as Deno's, on the sockets of Node; HTTP proxies included. */
export const websocket: Transport = {
  name: "websocket",
  connect: (url, options) =>
    connect(url, options, { sockets: nodeSockets, env: (name) => env[name] }),
  listen: clientOnly("websocket"),
};
