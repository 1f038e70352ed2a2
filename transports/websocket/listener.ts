/** The server's side: TLS connections that wait to be admitted, and their upgrade. */

import { delay, throwIfAborted, withDeadline } from "../../core/deadline.ts";
import { toTunnelError, TunnelError } from "../../core/errors.ts";
import type {
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
import { MAX_MESSAGE } from "./mux/batch.ts";
import { multiplex } from "./mux/session.ts";
import { WebSocketConnection } from "./socket.ts";
import { closeConn } from "./tcp.ts";

/** Milliseconds from the accepted connection to the session. */
const ACCEPT_TIMEOUT = 10_000;
/** Milliseconds before accepting goes on when the system had no connection to give. */
const ACCEPT_PAUSE = 100;
/** Milliseconds that a client has to take a response and go. */
const LINGER = 1_000;

/** Answers a request that is none for a tunnel. */
export type RequestHandler = (
  request: RequestHead & { readonly remote: RemoteAddress },
) => HttpResponse | Promise<HttpResponse>;

/** @throws {TunnelError} `usage` when the port cannot be had or the certificate is unfit */
export function listen(
  { hostname, port, cert, key, limits }: ListenOptions,
  onRequest: RequestHandler,
): Listener {
  let tls: Deno.TlsListener;
  try {
    tls = Deno.listenTls({ hostname, port, cert, key, alpnProtocols: ["http/1.1"] });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.InvalidData)) throw bindError(cause, "TCP", hostname, port);
    throw new TunnelError("usage", {
      action: `listen on TCP ${hostname}:${port}`,
      state: "the certificate and its key do not fit",
      remedy: "give both in PEM, and the key of this very certificate",
      cause,
    });
  }
  return new WebSocketListener(tls, (conn) => new WebSocketIncoming(conn, { limits, onRequest }));
}

class WebSocketListener implements Listener {
  readonly transport = "websocket";
  readonly address: RemoteAddress;
  readonly #tls: Deno.TlsListener;
  readonly #admit: (conn: Deno.TlsConn) => Incoming;
  readonly #stopped = new AbortController();

  constructor(tls: Deno.TlsListener, admit: (conn: Deno.TlsConn) => Incoming) {
    const { hostname, port } = tls.addr as Deno.NetAddr;
    this.address = { hostname, port };
    this.#tls = tls;
    this.#admit = admit;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Incoming> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      let conn: Deno.TlsConn;
      try {
        conn = await this.#tls.accept();
      } catch {
        // One connection was gone again, or the system is out of descriptors: both pass. Nothing
        // tells when the second has, so without a pause this would spin.
        await delay(ACCEPT_PAUSE, signal);
        continue;
      }
      yield this.#admit(conn);
    }
  }

  close(): Promise<void> {
    if (!this.#stopped.signal.aborted) {
      this.#stopped.abort();
      this.#tls.close();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface AcceptOptions {
  limits: ListenOptions["limits"];
  onRequest: RequestHandler;
}

class WebSocketIncoming implements Incoming {
  readonly transport = "websocket";
  readonly remote: RemoteAddress;
  readonly #conn: Deno.TlsConn;
  readonly #options: AcceptOptions;

  constructor(conn: Deno.TlsConn, options: AcceptOptions) {
    const { hostname, port } = conn.remoteAddr;
    this.remote = { hostname, port };
    this.#conn = conn;
    this.#options = options;
  }

  async accept({ signal }: { signal?: AbortSignal } = {}): Promise<Session> {
    const action = `accept a WebSocket of ${this.remote.hostname}`;
    try {
      const bound = { action, timeout: ACCEPT_TIMEOUT, signal };
      return await withDeadline(bound, (signal) => this.#upgrade(signal, action));
    } catch (cause) {
      throw toTunnelError(cause, action, "protocol");
    }
  }

  refuse(): void {
    closeConn(this.#conn);
  }

  async #upgrade(signal: AbortSignal, action: string): Promise<Session> {
    const conn = this.#conn;
    // Closing is what ends a wait for a slow client; the wait then throws. It stays on, so that a
    // session that comes at the last moment is not left behind: the signal is this call's own.
    signal.addEventListener("abort", () => closeConn(conn), { once: true });
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
      closeConn(conn);
      throw cause;
    }
  }

  #open(rest: Uint8Array, preface: Uint8Array): Session {
    const socket = new WebSocketConnection(this.#conn, {
      role: "server",
      maxMessage: MAX_MESSAGE,
      rest,
      preface,
      // Deno has no switch for it on a server's TLS connection.
      nagle: true,
    });
    const { remote, transport } = this;
    return multiplex(socket, { role: "server", transport, remote, limits: this.#options.limits });
  }

  async #turnAway(response: HttpResponse, action: string): Promise<never> {
    const conn = this.#conn;
    await writeAll(conn, formatResponse(response));
    await conn.closeWrite();
    // Ending a connection with unread bytes would reset it, and the answer with it.
    const timer = setTimeout(() => closeConn(conn), LINGER);
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

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}
