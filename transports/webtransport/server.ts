/** The relay's side of a connection: the request that becomes a session, and all the others. */

import { throwIfAborted } from "../../core/deadline.ts";
import { describe, TunnelError } from "../../core/errors.ts";
import type { Stream } from "../../core/transport.ts";
import { Http3Connection, type Http3Handler } from "./connection.ts";
import { Http3Code, Http3Error } from "./errors.ts";
import { encodeFrame, type FrameReader, FrameType } from "./frame.ts";
import { readHeaders } from "./headers.ts";
import { Lobby } from "./lobby.ts";
import { encodeFields, type Field } from "./qpack.ts";
import type { QuicConnection, QuicStream } from "./quic.ts";
import { DRAFT_REQUEST, DRAFT_RESPONSE, judge, type Judging } from "./request.ts";
import { WebTransportSession } from "./session.ts";

const ACTION = "accept a WebTransport session";
/** Milliseconds that a client has to take a response and go. */
const LINGER = 1_000;

/**
 * Waits for the request that becomes a session.
 *
 * @throws {TunnelError} `refused` when it was turned away, `protocol`, `reset`, what the signal says
 */
export function acceptSession(
  conn: QuicConnection,
  options: Judging & { readonly signal: AbortSignal },
): Promise<WebTransportSession> {
  return new Server(conn, options).session;
}

class Server implements Http3Handler {
  readonly session: Promise<WebTransportSession>;
  readonly #outcome: PromiseWithResolvers<WebTransportSession> = Promise.withResolvers();
  readonly #connection: Http3Connection;
  readonly #options: Judging & { readonly signal: AbortSignal };
  readonly #lobby = new Lobby();
  /** A request has the place of the one session. */
  #isTaken = false;
  /** Why it gets none. */
  #refusal: TunnelError | undefined;

  constructor(conn: QuicConnection, options: Judging & { readonly signal: AbortSignal }) {
    this.#options = options;
    this.#connection = new Http3Connection(conn, "server", this);
    const { signal } = options;
    const stop = () => this.#giveUp(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    conn.closed.then(
      ({ reason }) => this.#giveUp(gone(reason || "the client has left")),
      (cause) => this.#giveUp(gone(describe(cause), cause)),
    );
    this.session = this.#outcome.promise.finally(() => signal.removeEventListener("abort", stop));
  }

  async request(stream: QuicStream, frames: FrameReader): Promise<void> {
    const fields = await readHeaders(frames);
    if (!fields) throw new Http3Error(Http3Code.frameError, "a request has no HEADERS");
    const { status, isSession } = judge(fields, this.#options);
    if (!isSession || status !== 200) {
      await this.#answer(stream, frames, status);
      if (isSession && !this.#isTaken) this.#turnAway(status);
      return;
    }
    // One connection carries one session: too many requests (RFC 6585, section 4).
    if (this.#isTaken) return await this.#answer(stream, frames, 429);
    this.#isTaken = true;
    // Only with the client's settings is it known that both mean the same (draft, section 3.1).
    await this.#connection.settings;
    throwIfAborted(this.#options.signal, ACTION);
    const writer = stream.writable.getWriter();
    const isDraft02 = fields.some(([name]) => name === DRAFT_REQUEST[0]);
    await writer.write(headers([[":status", "200"], ...(isDraft02 ? [DRAFT_RESPONSE] : [])]));
    const connection = this.#connection;
    const { hostname, port } = connection.conn.remoteAddr;
    const { id } = stream.readable;
    const parts = { connection, id, frames, writer, remote: { hostname, port } };
    const session = new WebTransportSession(parts);
    this.#lobby.open(session);
    this.#outcome.resolve(session);
  }

  stream(session: bigint, stream: Stream): void {
    this.#lobby.stream(session, stream);
  }

  datagram(session: bigint, payload: Uint8Array): void {
    this.#lobby.datagram(session, payload);
  }

  failed(error: Http3Error): void {
    this.#lobby.session?.fail(error);
    this.#outcome.reject(error);
  }

  async #answer(stream: QuicStream, frames: FrameReader, status: number): Promise<void> {
    const writer = stream.writable.getWriter();
    await writer.write(headers([[":status", String(status)]]));
    await writer.close();
    await frames.cancel();
  }

  /** A client that gets no session has nothing else to do here. */
  #turnAway(status: number): void {
    this.#isTaken = true;
    const { conn } = this.#connection;
    const timer = setTimeout(() => this.#connection.close(), LINGER);
    conn.closed.catch(() => {}).finally(() => clearTimeout(timer));
    const state = `a request was answered with ${status}`;
    this.#refusal = new TunnelError("refused", { action: ACTION, state });
  }

  #giveUp(cause: unknown): void {
    if (!this.#lobby.session) this.#connection.close();
    this.#outcome.reject(this.#refusal ?? cause);
  }
}

function headers(fields: readonly Field[]): Uint8Array {
  return encodeFrame(FrameType.headers, encodeFields(fields));
}

function gone(state: string, cause?: unknown): TunnelError {
  return new TunnelError("reset", { action: ACTION, state, cause });
}
