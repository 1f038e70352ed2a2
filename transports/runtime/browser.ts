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
 * As `connect` elsewhere. The store for browsers is `indexedDbStore`: it keeps keys that nobody can
 * read, this page included. The relay's certificate must be one that the browser trusts.
 *
 * @throws {TunnelError} as `connect` in Deno
 */
export async function connect(options: FleetOptions): Promise<Fleet> {
  return await openFleet(runtime, options);
}
