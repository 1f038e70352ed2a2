/** The library in Node 20 and newer: WebTransport where it is installed, else WebSocket. */

import { env } from "node:process";
import type { DeviceServer } from "../../core/member/device_server.ts";
import type { Fleet } from "../../core/member/fleet.ts";
import {
  type FleetOptions,
  openDevice,
  openFleet,
  type Runtime,
  type ServeOptions,
} from "../../core/member/open.ts";
import { Connector } from "../connector.ts";
import { parseProxyUrl } from "../proxy.ts";
import { connectTcp } from "../tcp/node.ts";
import { websocket } from "../websocket/node.ts";
import { nodeWebTransport } from "./webtransport_node.ts";

const runtime: Runtime = {
  async connector({ root }, { transport, proxy }, limits) {
    const better = await nodeWebTransport(root);
    return new Connector({
      transports: better ? [better, websocket] : [websocket],
      only: transport,
      proxy: parseProxyUrl(proxy),
      caCerts: root ? [root] : undefined,
      limits,
      env: (name) => env[name],
    });
  },
  connectTcp,
};

/**
 * Signs in as an operator: joins by a join string, once, and keeps what comes of it in the store.
 * The first failure to connect is final; after a loss it signs in again by itself, and what is open
 * goes on.
 *
 * @throws {TunnelError} `unreachable` when no transport reaches the relay, `refused` when it says no,
 * `usage` when the options are wrong, `unavailable` when the store cannot be read, `timeout`,
 * `aborted`
 *
 * @example
 * ```ts
 * import { env } from "node:process";
 * import { connect, fileStore } from "@tunnel/tunnel";
 *
 * const join = env.TUNNEL_JOIN; // Needed once.
 * const fleet = await connect({ store: fileStore("./operator"), join });
 * console.log(await fleet.devices());
 * await fleet.close();
 * ```
 */
export async function connect(options: FleetOptions): Promise<Fleet> {
  return await openFleet(runtime, options);
}

/**
 * Signs in as a device and serves dials, until it is closed. It settles when the device is online for
 * the first time, however long the relay is away (a device that is yet to join waits for nobody), and
 * comes back by itself after every loss.
 *
 * @throws {TunnelError} `refused` when the relay says no, `replaced` when another process has the
 * device's credential, `usage` when the options are wrong, `unavailable` when the store cannot be
 * read, `aborted`; while joining also `unreachable` and `timeout`
 *
 * @example
 * ```ts
 * import { env } from "node:process";
 * import { fileStore, serve } from "@tunnel/tunnel";
 *
 * const device = await serve({
 *   id: "x",
 *   store: fileStore("./x"),
 *   join: env.TUNNEL_JOIN, // Needed once.
 *   allow: [22, "printer:9100"],
 * });
 * await device.closed;
 * ```
 */
export async function serve(options: ServeOptions): Promise<DeviceServer> {
  return await openDevice(runtime, options);
}
