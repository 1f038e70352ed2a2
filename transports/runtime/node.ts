/** The library in Node 20 and newer: WebSocket, which passes HTTP proxies. */

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

const runtime: Runtime = {
  connector: ({ root }, { transport, proxy }) =>
    new Connector({
      transports: [websocket],
      only: transport,
      proxy: parseProxyUrl(proxy),
      caCerts: root ? [root] : undefined,
      env: (name) => env[name],
    }),
  connectTcp,
};

/** As `connect` in Deno, whose description holds here. */
export async function connect(options: FleetOptions): Promise<Fleet> {
  return await openFleet(runtime, options);
}

/** As `serve` in Deno, whose description holds here. */
export async function serve(options: ServeOptions): Promise<DeviceServer> {
  return await openDevice(runtime, options);
}
