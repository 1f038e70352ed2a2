/** A client's side of a connection: the request for a session. */

import { describe, TunnelError } from "../../core/errors.ts";
import type { Stream } from "../../core/transport.ts";
import { Http3Connection, type Http3Handler } from "./connection.ts";
import { Http3Code, Http3Error } from "./errors.ts";
import { encodeFrame, FrameReader, FrameType } from "./frame.ts";
import { readHeaders } from "./headers.ts";
import { Lobby } from "./lobby.ts";
import { encodeFields } from "./qpack.ts";
import type { QuicConnection } from "./quic.ts";
import { fieldsByName, sessionRequest } from "./request.ts";
import { WebTransportSession } from "./session.ts";
import { offersWebTransport } from "./settings.ts";

/**
 * Asks for a session. A signal that fires is the caller's to end the connection by.
 *
 * @throws {TunnelError} `unreachable` when the peer gives none, `protocol`
 */
export async function openSession(
  conn: QuicConnection,
  { authority }: { readonly authority: string },
): Promise<WebTransportSession> {
  return await new Client(conn).open(authority);
}

class Client implements Http3Handler {
  readonly #connection: Http3Connection;
  readonly #lobby = new Lobby();
  /** Rejects when the connection ends. */
  readonly #ended: PromiseWithResolvers<never> = Promise.withResolvers();

  constructor(conn: QuicConnection) {
    this.#connection = new Http3Connection(conn, "client", this);
    this.#ended.promise.catch(() => {}); // Met by whoever still opens a session.
    conn.closed.then(
      ({ reason }) => this.#ended.reject(refused(reason || "the relay closed the connection")),
      (cause) => this.#ended.reject(refused(describe(cause), cause)),
    );
  }

  async open(authority: string): Promise<WebTransportSession> {
    return await Promise.race([this.#ask(authority), this.#ended.promise]);
  }

  request(): Promise<void> {
    const state = "the server made a request";
    return Promise.reject(new Http3Error(Http3Code.streamCreationError, state));
  }

  stream(session: bigint, stream: Stream): void {
    this.#lobby.stream(session, stream);
  }

  datagram(session: bigint, payload: Uint8Array): void {
    this.#lobby.datagram(session, payload);
  }

  failed(error: Http3Error): void {
    this.#lobby.session?.fail(error);
    this.#ended.reject(error);
  }

  async #ask(authority: string): Promise<WebTransportSession> {
    const connection = this.#connection;
    const { conn } = connection;
    if (!offersWebTransport(await connection.settings)) throw refused("it offers no WebTransport");
    const stream = await conn.createBidirectionalStream({ waitUntilAvailable: true });
    const writer = stream.writable.getWriter();
    await writer.write(encodeFrame(FrameType.headers, encodeFields(sessionRequest(authority))));
    const frames = new FrameReader(stream.readable);
    const status = await readStatus(frames);
    if (status !== "200") throw refused(`HTTP status ${status} came`);
    const { hostname, port } = conn.remoteAddr;
    const { id } = stream.readable;
    const parts = { connection, id, frames, writer, remote: { hostname, port } };
    const session = new WebTransportSession(parts);
    this.#lobby.open(session);
    return session;
  }
}

/** The status of the final response. */
async function readStatus(frames: FrameReader): Promise<string> {
  for (;;) {
    const fields = await readHeaders(frames);
    if (!fields) throw refused("the request was given up");
    const status = fieldsByName(fields)?.get(":status") ?? "";
    if (!/^[1-9][0-9]{2}$/.test(status)) {
      throw new Http3Error(Http3Code.messageError, "a response has no status");
    }
    if (!status.startsWith("1")) return status;
  }
}

function refused(state: string, cause?: unknown): TunnelError {
  return new TunnelError("unreachable", {
    action: "open a WebTransport session",
    state,
    remedy: "check that this address is a relay's",
    cause,
  });
}
