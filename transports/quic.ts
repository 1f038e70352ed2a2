/**
 * Sessions over raw QUIC (RFC 9000) with an ALPN of our own: the first choice of the executable.
 *
 * Deno's `abort()` of a writer sends a clean FIN, as the contract allows; see core/channel for how
 * a reset stays a reset.
 */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { throwIfAborted, untilAborted, withDeadline } from "../core/deadline.ts";
import { describe, toTunnelError, TunnelError } from "../core/errors.ts";
import {
  type AcceptOptions,
  CloseCode,
  type CloseInfo,
  type ConnectOptions,
  DEFAULT_LIMITS,
  type Incoming,
  type Limits,
  type Listener,
  type ListenOptions,
  type RemoteAddress,
  type Session,
  type Stream,
  type Transport,
} from "../core/transport.ts";
import { bindError, handshakeError, portOf, staggered } from "./address.ts";

/** Application-Layer Protocol Negotiation name (RFC 7301) of the tunnel protocol. */
export const ALPN = "tunnel/1";

/** Milliseconds that a handshake may take, each way. */
const HANDSHAKE_TIMEOUT = 10_000;

/** The QUIC transport. */
export const quic: Transport = {
  name: "quic",
  connect,
  listen: (options) => Promise.resolve().then(() => new QuicListener(options)),
};

async function connect(url: URL, options: ConnectOptions = {}): Promise<Session> {
  const action = `connect ${url.host} by QUIC`;
  const { signal, caCerts } = options;
  if (options.proxy) {
    throw new TunnelError("usage", {
      action,
      state: "an HTTP proxy carries no UDP",
      remedy: "use --transport websocket with a proxy",
    });
  }
  throwIfAborted(signal, action);
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  try {
    return await withDeadline(
      { action, timeout: HANDSHAKE_TIMEOUT, signal },
      async (signal) => {
        const addresses = isIP(hostname)
          ? [{ address: hostname }]
          : await lookup(hostname, { all: true, order: "verbatim" });
        return await staggered(
          addresses,
          signal,
          (address, signal) =>
            dial(address.address, hostname, portOf(url), {
              caCerts,
              signal,
              limits: options.limits,
            }),
          {
            discard: (session) => session.close(),
          },
        );
      },
    );
  } catch (cause) {
    throw handshakeError(cause, action);
  }
}

async function dial(
  address: string,
  serverName: string,
  port: number,
  { caCerts, signal, limits }: ConnectOptions & { signal: AbortSignal },
): Promise<Session> {
  const endpoint = new Deno.QuicEndpoint({
    hostname: address.includes(":") ? "::" : "0.0.0.0",
    port: 0,
  });
  // Closing the endpoint is the one thing that ends a handshake at once.
  const cancel = () => endpoint.close();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    const conn = await Deno.connectQuic({
      hostname: address,
      port,
      serverName,
      alpnProtocols: [ALPN],
      caCerts,
      endpoint,
      ...transportOptions(limits),
    });
    if (signal.aborted) throw signal.reason;
    return new QuicSession(conn, () => endpoint.close());
  } catch (cause) {
    endpoint.close();
    throw cause;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

function transportOptions(partial: Partial<Limits> = {}): Deno.QuicTransportOptions {
  const limits = { ...DEFAULT_LIMITS, ...partial };
  return {
    keepAliveInterval: Number.isFinite(limits.keepAlive) ? limits.keepAlive : undefined,
    maxIdleTimeout: limits.idleTimeout,
    maxConcurrentBidirectionalStreams: limits.streams,
    maxConcurrentUnidirectionalStreams: 0,
  };
}

/** A session over an established QUIC connection, client's or server's. */
class QuicSession implements Session {
  readonly transport = "quic";
  readonly remote: RemoteAddress;
  readonly closed: Promise<CloseInfo>;
  readonly incoming: ReadableStream<Stream>;
  readonly #conn: Deno.QuicConn;
  readonly #waiters: PromiseWithResolvers<Stream>[] = [];
  #opening = false;
  #spare?: Stream;
  #closing?: CloseInfo;

  constructor(conn: Deno.QuicConn, onClosed: () => void) {
    this.#conn = conn;
    const { hostname, port } = conn.remoteAddr;
    this.remote = { hostname, port };
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
    this.closed.then(onClosed, onClosed);
    this.incoming = this.#accepting();
    this.#refuseDatagrams();
  }

  async openStream({ signal }: { signal?: AbortSignal } = {}): Promise<Stream> {
    const waiter = Promise.withResolvers<Stream>();
    this.#waiters.push(waiter);
    this.#open();
    try {
      return await untilAborted(waiter.promise, signal, "open a stream");
    } catch (cause) {
      const index = this.#waiters.indexOf(waiter);
      if (index >= 0) this.#waiters.splice(index, 1);
      // Granted and cancelled at once: the stream goes to the next in line.
      else waiter.promise.then((stream) => this.#hand(stream), () => {});
      throw toTunnelError(cause, "open a stream", "reset");
    }
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

  /** None is ever sent, and those that nobody reads would be kept: over a megabyte of them. */
  #refuseDatagrams(): void {
    const refuse = () => this.close({ code: CloseCode.protocol, reason: "a datagram came" });
    this.#conn.readDatagram().then(refuse, () => {}); // The session has ended.
  }

  /**
   * Keeps one request for a stream under way while somebody waits. A stream cannot be given back
   * unseen by the peer, so one that nobody waits for any more is kept for the next.
   */
  #open(): void {
    if (this.#opening || this.#waiters.length === 0) return;
    if (this.#spare) return this.#hand(this.#spare);
    this.#opening = true;
    Promise.resolve()
      .then(() => this.#conn.createBidirectionalStream({ waitUntilAvailable: true }))
      .then(
        (stream) => {
          this.#opening = false;
          this.#hand(stream);
        },
        (error) => {
          this.#opening = false;
          for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
        },
      );
  }

  #hand(stream: Stream): void {
    const waiter = this.#waiters.shift();
    this.#spare = waiter ? undefined : stream;
    waiter?.resolve(stream);
    this.#open();
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

class QuicListener implements Listener {
  readonly transport = "quic";
  readonly address: RemoteAddress;
  readonly #endpoint: Deno.QuicEndpoint;
  // Held for the endpoint's life: it goes deaf when its listener is garbage-collected.
  readonly #listener: Deno.QuicListener;
  readonly #limits: Partial<Limits> | undefined;
  #sessions = 0;
  #open = true;

  constructor({ hostname, port, cert, key, limits }: ListenOptions) {
    try {
      this.#endpoint = new Deno.QuicEndpoint({ hostname, port });
    } catch (cause) {
      throw bindError(cause, "UDP", hostname, port);
    }
    this.#listener = this.#endpoint.listen({
      cert,
      key,
      alpnProtocols: [ALPN],
      ...transportOptions(limits),
    });
    this.#limits = limits;
    const addr = this.#endpoint.addr;
    this.address = { hostname: addr.hostname, port: addr.port };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Incoming> {
    while (this.#open) {
      let incoming: Deno.QuicIncoming;
      try {
        incoming = await this.#listener.incoming();
      } catch (cause) {
        if (!this.#open) return;
        throw toTunnelError(cause, `listen on UDP port ${this.address.port}`, "internal");
      }
      // `remote` stays unknown: reading it here would use up the incoming connection.
      yield {
        transport: this.transport,
        accept: (options) => this.#accept(incoming, options),
        refuse: () => incoming.refuse(),
      };
    }
  }

  close(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      this.#listener.stop();
      this.#endWhenEmpty();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #accept(
    incoming: Deno.QuicIncoming,
    { signal, admit }: AcceptOptions = {},
  ): Promise<Session> {
    const action = "accept a QUIC connection";
    let conn: Deno.QuicConn | undefined;
    try {
      // With `zeroRtt` the connection is there before its handshake, and with it the address. Nothing
      // is read of it or written to it until the handshake is done, so nothing can be replayed.
      const accepted = conn = incoming.accept({
        ...transportOptions(this.#limits),
        zeroRtt: true,
      });
      const { hostname, port } = accepted.remoteAddr;
      admit?.({ hostname, port });
      // It fulfils when the handshake has failed too: the session is then lost right away.
      const options = { action, timeout: HANDSHAKE_TIMEOUT, signal };
      await withDeadline(options, () => accepted.handshake);
      this.#sessions++;
      return new QuicSession(accepted, () => {
        this.#sessions--;
        this.#endWhenEmpty();
      });
    } catch (cause) {
      conn?.closed.catch(() => {}); // It is given up, however it ends.
      conn?.close({ closeCode: CloseCode.limit, reason: "" });
      throw toTunnelError(cause, action, "protocol");
    }
  }

  #endWhenEmpty(): void {
    if (!this.#open && this.#sessions === 0) this.#endpoint.close();
  }
}
