/** The server's side: TLS connections that wait to be admitted, and their upgrade. */

import { throwIfAborted, withDeadline } from "../../core/deadline.ts";
import { toTunnelError, TunnelError } from "../../core/errors.ts";
import type {
  AcceptOptions,
  Incoming,
  Listener,
  ListenOptions,
  RemoteAddress,
  Session,
} from "../../core/transport.ts";
import { bindError } from "../address.ts";
import { answerRequest } from "./handshake.ts";
import {
  formatResponse,
  type HttpResponse,
  parseRequest,
  readHead,
  type RequestHead,
} from "./http.ts";
import { MAX_MESSAGE } from "../../core/mux/batch.ts";
import { multiplex } from "../../core/mux/session.ts";
import { WebSocketConnection } from "./socket.ts";
import { listenTls, type ServerConn, type TlsServer } from "./tls_server.ts";

/** Milliseconds from the accepted connection to the session. */
const ACCEPT_TIMEOUT = 10_000;
/** Milliseconds that a client has to take a response and go. */
const LINGER = 1_000;

/** Answers a request that is none for a tunnel. */
export type RequestHandler = (
  request: RequestHead & { readonly remote: RemoteAddress },
) => HttpResponse | Promise<HttpResponse>;

/** @throws {TunnelError} `unavailable` when the port cannot be had, `usage` for a bad certificate */
export async function listen(
  { hostname, port, cert, key, limits, onShortage }: ListenOptions,
  onRequest: RequestHandler,
): Promise<Listener> {
  try {
    const server = await listenTls({ hostname, port, cert, key, onShortage });
    return new WebSocketListener(server, { limits, onRequest });
  } catch (cause) {
    throw cause instanceof TunnelError ? cause : bindError(cause, "TCP", hostname, port);
  }
}

class WebSocketListener implements Listener {
  readonly transport = "websocket";
  readonly address: RemoteAddress;
  readonly renew: Listener["renew"];
  readonly #server: TlsServer;
  readonly #options: ListenerOptions;

  constructor(server: TlsServer, options: ListenerOptions) {
    this.address = server.address;
    this.renew = server.renew;
    this.#server = server;
    this.#options = options;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Incoming> {
    for await (const conn of this.#server) yield new WebSocketIncoming(conn, this.#options);
  }

  close(): Promise<void> {
    this.#server.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface ListenerOptions {
  limits: ListenOptions["limits"];
  onRequest: RequestHandler;
}

class WebSocketIncoming implements Incoming {
  readonly transport = "websocket";
  readonly remote: RemoteAddress;
  readonly #conn: ServerConn;
  readonly #options: ListenerOptions;

  constructor(conn: ServerConn, options: ListenerOptions) {
    this.remote = conn.remote;
    this.#conn = conn;
    this.#options = options;
  }

  async accept({ signal, admit }: AcceptOptions = {}): Promise<Session> {
    const action = `accept a WebSocket of ${this.remote.hostname}`;
    try {
      this.#check(admit);
      const bound = { action, timeout: ACCEPT_TIMEOUT, signal };
      return await withDeadline(bound, (signal) => this.#upgrade(signal, action));
    } catch (cause) {
      throw toTunnelError(cause, action, "protocol");
    }
  }

  refuse(): void {
    this.#conn.close();
  }

  #check(admit: AcceptOptions["admit"]): void {
    try {
      admit?.(this.remote);
    } catch (cause) {
      this.refuse();
      throw cause;
    }
  }

  async #upgrade(signal: AbortSignal, action: string): Promise<Session> {
    const conn = this.#conn;
    // Closing is what ends a wait for a slow client; the wait then throws. It stays on, so that a
    // session that comes at the last moment is not left behind: the signal is this call's own.
    signal.addEventListener("abort", () => conn.close(), { once: true });
    try {
      await conn.handshake();
      const { text, rest } = await readHead(conn);
      const request = parseRequest(text);
      const answer = await answerRequest(request) ??
        await this.#options.onRequest({ ...request, remote: this.remote });
      if (typeof answer !== "string") return await this.#turnAway(answer, action);
      throwIfAborted(signal, action);
      return this.#open(rest, new TextEncoder().encode(answer));
    } catch (cause) {
      conn.close();
      throw cause;
    }
  }

  #open(rest: Uint8Array, preface: Uint8Array): Session {
    const socket = new WebSocketConnection(this.#conn, {
      role: "server",
      maxMessage: MAX_MESSAGE,
      rest,
      preface,
      nagle: this.#conn.nagle,
    });
    const { remote, transport } = this;
    return multiplex(socket, { role: "server", transport, remote, limits: this.#options.limits });
  }

  async #turnAway(response: HttpResponse, action: string): Promise<never> {
    const conn = this.#conn;
    await writeAll(conn, formatResponse(response));
    await conn.closeWrite();
    // Ending a connection with unread bytes would reset it, and the answer with it.
    const timer = setTimeout(() => conn.close(), LINGER);
    const scrap = new Uint8Array(4096);
    try {
      while (await conn.read(scrap) !== null);
    } catch {
      // The client has gone, or stayed too long.
    }
    clearTimeout(timer);
    const state = `an HTTP request was answered with ${response.status}`;
    throw new TunnelError("closed", { action, state });
  }
}

async function writeAll(conn: ServerConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}
