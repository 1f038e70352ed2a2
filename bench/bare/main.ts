/**
 * A reference chain: service, relay and device that copy bytes and do nothing else. No framing of
 * their own, no sign-in, no policy; what a tunnel takes beyond them is what it costs.
 *
 *     main.ts KIND service CERTIFICATES RELAY
 *     main.ts KIND relay   CERTIFICATES [DEVICE]
 *     main.ts KIND device  CERTIFICATES TARGET [RELAY]
 *
 * KIND is quic, websocket or tls, CERTIFICATES a folder of `stores/certificate.ts`, the rest are ports
 * of this machine. Each prints `ready PORT`, the port that it listens on itself.
 *
 * Over QUIC the device connects to the relay, which opens a stream to it for each connection. The
 * other two have no streams, so each connection has a socket of its own on each hop, and there the
 * relay connects to the device: the shortest way, which a firewall would not let pass.
 */

import { developmentCertificate } from "../../stores/certificate.ts";
import { quic } from "./quic.ts";
import { tls } from "./tls.ts";
import { websocket } from "./websocket.ts";

/** PEM: what a listener needs, and what a client needs to trust it. */
export interface Keys {
  readonly cert: string;
  readonly key: string;
  readonly root: string;
}

/** The three programs of a chain. Each settles with the port it listens on, 0 for none. */
export interface Bare {
  /** Takes TCP connections to the relay. */
  service(keys: Keys, relay: number): Promise<number>;
  /** @param device where the device listens, if it does */
  relay(keys: Keys, device: number): Promise<number>;
  /** Takes what comes from the relay to the target. @param relay where to connect to, if need be */
  device(keys: Keys, target: number, relay: number): Promise<number>;
}

export const HOST = "127.0.0.1";
/** The address that the relay has for the other two, over QUIC. */
export const RELAY = Deno.env.get("BARE_RELAY") ?? HOST;

const KINDS: Record<string, Bare> = { quic, websocket, tls };

if (import.meta.main) {
  const [kind = "", role = "", certificates = "", ...ports] = Deno.args;
  const bare = KINDS[kind];
  if (!bare || (role !== "service" && role !== "relay" && role !== "device")) {
    console.error("use: main.ts quic|websocket|tls service|relay|device CERTIFICATES PORT...");
    Deno.exit(2);
  }
  const keys = await developmentCertificate(certificates, { names: [HOST] });
  const [first = 0, second = 0] = ports.map(Number);
  console.log(`ready ${await bare[role](keys, first, second)}`);
}
