/**
 * Sessions over raw QUIC (RFC 9000) with an ALPN of our own: the first choice of the executable.
 *
 * Deno's `abort()` of a writer sends a clean FIN, as the contract allows; see core/channel for how
 * a reset stays a reset.
 */

import { describe, TunnelError } from "../core/errors.ts";
import {
  CloseCode,
  type CloseInfo,
  type RemoteAddress,
  type Session,
  type Stream,
  type Transport,
} from "../core/transport.ts";
import { connectQuic, listenQuic, type QuicProtocol } from "./quic_endpoint.ts";
import { StreamOpener } from "./stream_opener.ts";

/** Application-Layer Protocol Negotiation name (RFC 7301) of the tunnel protocol. */
export const ALPN = "tunnel/1";

/** The protocol, for a port that serves others too. */
export const quicProtocol: QuicProtocol = {
  alpn: ALPN,
  transport: "quic",
  streams: { bidirectional: 0, unidirectional: 0 },
  hasSilentClients: false,
  open: (conn) => Promise.resolve(new QuicSession(conn)),
  accept: (conn) => Promise.resolve(new QuicSession(conn)),
};

/** The QUIC transport. */
export const quic: Transport = {
  name: "quic",
  connect: (url, options) => connectQuic(quicProtocol, url, options),
  listen: (options) => Promise.resolve().then(() => listenQuic(options, [quicProtocol])),
};

/** A session over an established QUIC connection, client's or server's. */
class QuicSession implements Session {
  readonly transport = "quic";
  readonly remote: RemoteAddress;
  readonly closed: Promise<CloseInfo>;
  readonly incoming: ReadableStream<Stream>;
  readonly #conn: Deno.QuicConn;
  readonly #opener: StreamOpener;
  #closing?: CloseInfo;

  constructor(conn: Deno.QuicConn) {
    this.#conn = conn;
    const { hostname, port } = conn.remoteAddr;
    this.remote = { hostname, port };
    this.#opener = new StreamOpener(() =>
      conn.createBidirectionalStream({ waitUntilAvailable: true })
    );
    this.closed = conn.closed.then(
      (info) => this.#closing ?? { code: info.closeCode, reason: info.reason },
      (cause) => {
        if (this.#closing) return this.#closing;
        throw new TunnelError("reset", {
          action: `keep the session with ${hostname}`,
          state: `it was lost: ${describe(cause)}`,
          cause,
        });
      },
    );
    this.closed.catch(() => {}); // Asking for it is optional.
    this.incoming = this.#accepting();
    this.#refuseOthers();
  }

  openStream({ signal }: { signal?: AbortSignal } = {}): Promise<Stream> {
    return this.#opener.open(signal);
  }

  close(info: CloseInfo = { code: 0, reason: "" }): void {
    if (this.#closing) return;
    this.#closing = info;
    this.#conn.close({ closeCode: info.code, reason: info.reason });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed.catch(() => {});
  }

  /**
   * Datagrams and unidirectional streams are never sent, and what nobody reads would be kept: over a
   * megabyte of each.
   */
  #refuseOthers(): void {
    const refuse = (reason: string) => this.close({ code: CloseCode.protocol, reason });
    const ended = () => {}; // The session is over.
    this.#conn.readDatagram().then(() => refuse("a datagram came"), ended);
    this.#conn.incomingUnidirectionalStreams.getReader().read().then(({ done }) => {
      if (!done) refuse("a unidirectional stream came");
    }, ended);
  }

  #accepting(): ReadableStream<Stream> {
    const reader = this.#conn.incomingBidirectionalStreams.getReader();
    return new ReadableStream<Stream>({
      pull: async (controller) => {
        try {
          const { value, done } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch {
          // Why accepting ended is what `closed` says: the end of a session ends this in order.
          await this.closed.then(() => controller.close(), (error) => controller.error(error));
        }
      },
    }, { highWaterMark: 0 });
  }
}
