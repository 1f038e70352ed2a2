/**
 * Sessions over WebTransport (HTTP/3) on Deno's QUIC. A relay serves them to browsers and to Node; this
 * client is for parity, and for the tests.
 */

import type { Transport } from "../../core/transport.ts";
import { connectQuic, listenQuic, type QuicProtocol } from "../quic_endpoint.ts";
import { openSession } from "./client.ts";
import type { Judging } from "./request.ts";
import { acceptSession } from "./server.ts";

/** HTTP/3's name in ALPN (RFC 9114, section 3.1). */
export const ALPN = "h3";

/**
 * The protocol, for a port that serves others too.
 *
 * @param options.allowsOrigin which web pages may connect, by their origin; default none. Clients that
 * are no browsers name no origin, and may.
 */
export function webtransportProtocol(options: Partial<Judging> = {}): QuicProtocol {
  const { allowsOrigin = () => false } = options;
  return {
    alpn: ALPN,
    transport: "webtransport",
    // The request of the session; control stream, QPACK's two, and one that is unknown.
    streams: { bidirectional: 1, unidirectional: 4 },
    open: (conn, { url }) => openSession(conn, { authority: url.host }),
    accept: (conn, { signal }) => acceptSession(conn, { allowsOrigin, signal }),
  };
}

/** The WebTransport transport. */
export function webtransportTransport(options: Partial<Judging> = {}): Transport {
  const protocol = webtransportProtocol(options);
  return {
    name: protocol.transport,
    connect: (url, options) => connectQuic(protocol, url, options),
    listen: (options) => Promise.resolve().then(() => listenQuic(options, [protocol])),
  };
}
