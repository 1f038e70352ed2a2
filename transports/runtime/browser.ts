/** The library in browsers: an operator's end, over the platform's own transports. */

import { TunnelError } from "../../core/errors.ts";
import type { Fleet } from "../../core/member/fleet.ts";
import { type FleetOptions, openFleet, type Runtime } from "../../core/member/open.ts";
import { Connector } from "../connector.ts";
import { platformWebSocket } from "../websocket/platform.ts";

const runtime: Runtime = {
  connector: ({ root }, { transport }) =>
    new Connector({
      transports: [platformWebSocket(globalThis.WebSocket)],
      only: transport,
      caCerts: root ? [root] : undefined,
    }),
  connectTcp: () =>
    Promise.reject(
      new TunnelError("unavailable", {
        action: "connect by TCP",
        state: "a browser cannot",
      }),
    ),
};

/**
 * Signs in as an operator: joins by a join string, once, and keeps what comes of it in the store.
 * The first failure to connect is final; after a loss it signs in again by itself, and what is open
 * goes on. The relay's certificate must be one that the browser trusts.
 *
 * @throws {TunnelError} `unreachable` when no transport reaches the relay, `refused` when it says no,
 * `usage` when the options are wrong, `unavailable` when the store cannot be read, `timeout`,
 * `aborted`
 *
 * @example
 * ```ts
 * import { connect, indexedDbStore } from "@tunnel/tunnel/browser";
 *
 * const fleet = await connect({ store: indexedDbStore(), join: location.hash.slice(1) || undefined });
 * for await (const { type, device } of fleet.watch()) console.log(type, device.id);
 * ```
 */
export async function connect(options: FleetOptions): Promise<Fleet> {
  return await openFleet(runtime, options);
}
