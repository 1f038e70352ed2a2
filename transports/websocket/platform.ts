/**
 * Sessions over the platform's own WebSocket, as browsers have it. It says neither when there is room
 * to send nor when to stop receiving: the first is asked for, the second is the business of the
 * multiplexer, whose credit bounds what the relay may send.
 */

import { delay, throwIfAborted, withDeadline } from "../../core/deadline.ts";
import { toTunnelError, TunnelError } from "../../core/errors.ts";
import type { ConnectOptions, Session, Transport } from "../../core/transport.ts";
import { portOf, withoutBrackets } from "../address.ts";
import { clientOnly } from "../client_only.ts";
import { PATH, SUBPROTOCOL } from "./handshake.ts";
import { MAX_MESSAGE } from "../../core/mux/batch.ts";
import { type MessageSocket, WebSocketClose } from "../../core/mux/message_socket.ts";
import { multiplex } from "../../core/mux/session.ts";

/** Milliseconds from the first packet to the open connection. */
const DIAL_TIMEOUT = 10_000;
/** Milliseconds that the closing handshake may take. */
const CLOSE_TIMEOUT = 3_000;
/** Bytes that the platform holds of what was sent, beyond which no more is given to it. */
const MAX_BUFFERED = 1024 * 1024;
/** Milliseconds between two looks at that. */
const POLL = 4;
/** Bytes that wait to be read at most: the multiplexer reads all the time, so they never do. */
const MAX_UNREAD = 64 * 1024 * 1024;
/** What is added to a code that a program may not close with (WHATWG WebSockets, `close`). */
const PRIVATE_CODE = 3_000;

/** As much of the platform's `WebSocket` as is used. */
export interface PlatformWebSocket extends EventTarget {
  binaryType: string;
  readonly bufferedAmount: number;
  send(message: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export interface PlatformConstructor {
  new (url: string, protocols: string): PlatformWebSocket;
}

/**
 * The transport "websocket". It trusts what the platform trusts, and passes the proxies that the
 * platform passes: what a caller says of either is not used.
 */
export function platformWebSocket(WebSocket: PlatformConstructor): Transport {
  return {
    name: "websocket",
    connect: (url, options) => connect(WebSocket, url, options),
    listen: clientOnly("websocket"),
  };
}

async function connect(
  WebSocket: PlatformConstructor,
  url: URL,
  { signal, caCerts, limits }: ConnectOptions = {},
): Promise<Session> {
  const action = `connect ${url.host} by WebSocket`;
  const remote = { hostname: withoutBrackets(url.hostname), port: portOf(url) };
  const bound = { action, timeout: DIAL_TIMEOUT, signal };
  const socket = await withDeadline(bound, async (signal) => {
    // It is listened to from the beginning: what the relay says first may come with the opening.
    const socket = new Socket(
      new WebSocket(`wss://${url.hostname}:${remote.port}${PATH}`, SUBPROTOCOL),
    );
    signal.addEventListener("abort", () => socket.abort(), { once: true });
    await socket.opened;
    throwIfAborted(signal, action);
    return socket;
  }).catch((cause) => {
    if (cause instanceof TunnelError) throw cause;
    throw unreachable(action, caCerts !== undefined && caCerts.length > 0, cause);
  });
  return multiplex(socket, { role: "client", transport: "websocket", remote, limits });
}

function unreachable(action: string, hasRoot: boolean, cause: unknown): TunnelError {
  return new TunnelError("unreachable", {
    action,
    state: "it could not be opened; the platform does not say why",
    remedy: hasRoot
      ? "the relay has a certificate of its own, which this platform must be made to trust, or give it one that everybody trusts"
      : "check the address, and that TCP may pass",
    cause,
  });
}

class Socket implements MessageSocket {
  readonly headroom = 0;
  readonly nagle = false;
  /** Rejects when it does not open; the platform does not say why. */
  readonly opened: Promise<void>;
  readonly #socket: PlatformWebSocket;
  readonly #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  readonly #ended = Promise.withResolvers<void>();
  #over = false;
  #failure: TunnelError | undefined;
  /** Something came, or it is over. */
  #wake = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;

  constructor(socket: PlatformWebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    this.opened = new Promise((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      this.#ended.promise.then(() => reject(new Error("it was closed")));
    });
    socket.addEventListener("message", (event) => this.#take((event as MessageEvent).data));
    socket.addEventListener("close", () => this.#end());
    // A `close` follows.
    socket.addEventListener("error", () => this.#failure ??= lost("the connection failed"));
  }

  async send(message: Uint8Array): Promise<void> {
    if (this.#over || this.#closing) throw lost("it is closed");
    // The platform copies it before it returns.
    this.#socket.send(message as Uint8Array<ArrayBuffer>);
    while (this.#socket.bufferedAmount > MAX_BUFFERED && !this.#over) {
      // Timers of a page that nobody looks at fire once a second; what comes of the relay shows as
      // well that something has left.
      const came = new AbortController();
      this.#wake.promise.then(() => came.abort());
      await delay(POLL, came.signal);
    }
  }

  async receive(): Promise<Uint8Array | null> {
    for (;;) {
      const message = this.#unread.shift();
      if (message) {
        this.#unreadBytes -= message.length;
        return message;
      }
      if (this.#failure) throw this.#failure;
      if (this.#over) return null;
      await this.#wake.promise;
    }
  }

  close(code: number, reason: string): Promise<void> {
    return this.#closing ??= this.#shake(code, reason);
  }

  abort(): void {
    this.#closing ??= Promise.resolve();
    this.#end();
    this.#socket.close();
  }

  async #shake(code: number, reason: string): Promise<void> {
    this.#socket.close(code === WebSocketClose.normal ? code : code + PRIVATE_CODE, reason);
    const answered = new AbortController();
    this.#ended.promise.then(() => answered.abort());
    await delay(CLOSE_TIMEOUT, answered.signal);
  }

  #take(data: unknown): void {
    if (this.#over || this.#failure) return;
    if (!(data instanceof ArrayBuffer)) return this.#refuse(WebSocketClose.unsupported, "a text");
    const { byteLength } = data;
    if (byteLength > MAX_MESSAGE) return this.#refuse(WebSocketClose.tooBig, `${byteLength} bytes`);
    this.#unreadBytes += byteLength;
    if (this.#unreadBytes > MAX_UNREAD) {
      return this.#refuse(WebSocketClose.protocol, "more than was allowed");
    }
    this.#unread.push(new Uint8Array(data));
    this.#rouse();
  }

  #refuse(code: number, what: string): void {
    const state = `${what} came in a message`;
    this.#failure = new TunnelError("protocol", { action: "use the WebSocket", state });
    this.close(code, "");
    this.#rouse();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended.resolve();
    this.#rouse();
  }

  #rouse(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

function lost(state: string): TunnelError {
  return toTunnelError(new Error(state), "use the WebSocket", "reset");
}
