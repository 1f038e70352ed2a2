/** The library in browsers: an operator's end, over the platform's own transports. */

import { TunnelError } from "../../core/errors.ts";
import type { Fleet } from "../../core/member/fleet.ts";
import { type FleetOptions, openFleet, type Runtime } from "../../core/member/open.ts";
import type { Transport } from "../../core/transport.ts";
import { Connector } from "../connector.ts";
import { platformWebSocket } from "../websocket/platform.ts";
import { type PlatformConstructor, webtransport } from "../webtransport/platform.ts";
import { wellKnownHashes } from "../webtransport/well_known.ts";

const runtime: Runtime = {
  connector: ({ root }, { transport }, limits) =>
    new Connector({
      transports: transports(),
      only: transport,
      caCerts: root ? [root] : undefined,
      limits,
    }),
  connectTcp: () =>
    Promise.reject(
      new TunnelError("unavailable", {
        action: "connect by TCP",
        state: "a browser cannot",
      }),
    ),
};

/** Best first; a browser may have no WebTransport, or none that may be used. */
function transports(): Transport[] {
  const { WebSocket, WebTransport } = globalThis as typeof globalThis & {
    WebTransport?: PlatformConstructor;
  };
  const websocket = platformWebSocket(WebSocket);
  if (!WebTransport) return [websocket];
  // Where the relay's root came with the join string, its certificate is known by its hash.
  const certificateHashes = wellKnownHashes((url, init) => fetch(url, init));
  return [webtransport({ WebTransport, certificateHashes }), websocket];
}

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
