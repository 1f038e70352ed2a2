/** The library in Deno: QUIC, and WebSocket where UDP is blocked. */

import type { DeviceServer } from "../../core/member/device_server.ts";
import type { Fleet } from "../../core/member/fleet.ts";
import {
  type FleetOptions,
  openDevice,
  openFleet,
  type Runtime,
  type ServeOptions,
} from "../../core/member/open.ts";
import { considerCiphers } from "../../core/noise/platform_suite.ts";
import { Connector } from "../connector.ts";
import { quic } from "../quic.ts";
import { openssl } from "../system/openssl.ts";
import { connectTcp } from "../tcp/tcp.ts";
import { websocket } from "../websocket/transport.ts";
import { parseProxyUrl } from "../proxy.ts";

/** Deno has QUIC where it is run with `--unstable-net`, or with "net" among "unstable" of its deno.json. */
const TRANSPORTS = typeof Deno.QuicEndpoint === "function" ? [quic, websocket] : [websocket];

considerCiphers(openssl);

const runtime: Runtime = {
  connector: ({ root }, { transport, proxy }, limits) =>
    new Connector({
      transports: TRANSPORTS,
      only: transport,
      proxy: parseProxyUrl(proxy),
      caCerts: root ? [root] : undefined,
      limits,
      env: (name) => Deno.env.get(name),
    }),
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
 * import { connect, fileStore } from "@tunnel/tunnel";
 *
 * const join = Deno.env.get("TUNNEL_JOIN"); // Needed once.
 * await using fleet = await connect({ store: fileStore("./operator"), join });
 * console.log(await fleet.devices());
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
 * import { fileStore, serve } from "@tunnel/tunnel";
 *
 * await using device = await serve({
 *   id: "x",
 *   store: fileStore("./x"),
 *   join: Deno.env.get("TUNNEL_JOIN"), // Needed once.
 *   allow: [22, "printer:9100"],
 *   accept({ operator, target, refuse }) {
 *     if (target.port !== 7) return; // As `allow` says.
 *     if (operator !== "anna") throw refuse("port 7 is anna's");
 *     return (stream) => stream.readable.pipeTo(stream.writable);
 *   },
 * });
 * await device.closed;
 * ```
 */
export async function serve(options: ServeOptions): Promise<DeviceServer> {
  return await openDevice(runtime, options);
}
