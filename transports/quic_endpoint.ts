/**
 * QUIC endpoints (RFC 9000): dialling a relay, and one UDP port for several protocols, told apart by
 * ALPN (RFC 7301). What a protocol does with its connections is its own business.
 */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { throwIfAborted, withDeadline } from "../core/deadline.ts";
import { toTunnelError, TunnelError } from "../core/errors.ts";
import {
  type AcceptOptions,
  type Certificate,
  CloseCode,
  type ConnectOptions,
  DEFAULT_LIMITS,
  type Incoming,
  type Limits,
  type Listener,
  type ListenOptions,
  type RemoteAddress,
  type Session,
} from "../core/transport.ts";
import { bindError, handshakeError, portOf, staggered } from "./address.ts";
import { Wishes } from "./congestion/answers.ts";
import { Control, FIRST, type Successor } from "./congestion/watch.ts";
import { withRoom } from "./system/receive_buffer.ts";

/** Milliseconds until there is a session, each way. */
const HANDSHAKE_TIMEOUT = 10_000;

/** What runs over QUIC connections. */
export interface QuicProtocol {
  /** Its name in ALPN. */
  readonly alpn: string;
  /** As sessions and errors name it. */
  readonly transport: string;
  /** Streams of the peer's that it needs beside {@linkcode Limits.streams}. */
  readonly streams: { readonly bidirectional: number; readonly unidirectional: number };
  /** Makes a session of a connection to a relay; the connection is closed when it rejects. */
  open(
    conn: Deno.QuicConn,
    options: { url: URL; signal: AbortSignal; how: Successor },
  ): Promise<Session>;
  /**
   * Makes a session of a client's connection. When it rejects the connection is closed, unless that
   * has been done.
   *
   * @param options.wishes takes note that the next connection from there is to bear loss
   */
  accept(
    conn: Deno.QuicConn,
    options: { signal: AbortSignal; wishes: Wishes },
  ): Promise<Session>;
}

/**
 * @param how its connection reacts to loss
 * @throws {TunnelError} `unreachable`, `aborted`, `usage`
 */
export async function connectQuic(
  protocol: QuicProtocol,
  url: URL,
  options: ConnectOptions = {},
  how: Successor = FIRST,
): Promise<Session> {
  const action = `connect ${url.host} by ${nameOf(protocol)}`;
  const { signal } = options;
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
          ({ address }, signal) =>
            dial(protocol, { ...options, url, address, hostname, signal, how }),
          { discard: (session) => session.close() },
        );
      },
    );
  } catch (cause) {
    throw handshakeError(cause, action);
  }
}

interface Dial extends ConnectOptions {
  readonly url: URL;
  readonly address: string;
  readonly hostname: string;
  readonly signal: AbortSignal;
  readonly how: Successor;
}

async function dial(
  protocol: QuicProtocol,
  { url, address, hostname, caCerts, signal, limits, how }: Dial,
): Promise<Session> {
  const { socket: endpoint } = withRoom(() =>
    new Deno.QuicEndpoint({ hostname: address.includes(":") ? "::" : "0.0.0.0", port: 0 })
  );
  // Closing the endpoint is the one thing that ends a handshake at once.
  const cancel = () => endpoint.close();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    const conn = await Deno.connectQuic({
      hostname: address,
      port: portOf(url),
      serverName: hostname,
      alpnProtocols: [protocol.alpn],
      caCerts,
      endpoint,
      ...transportOptions([protocol], limits),
      congestionControl: Control[how.control],
    });
    if (signal.aborted) throw signal.reason;
    conn.closed.then(cancel, cancel);
    return await protocol.open(conn, { url, signal, how });
  } catch (cause) {
    endpoint.close();
    throw cause;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/**
 * Takes connections of all these protocols on one UDP port; until the handshake is done they count as
 * the first one's.
 *
 * @throws {TunnelError} `unavailable` when the port cannot be had
 */
export function listenQuic(
  options: ListenOptions,
  protocols: readonly [QuicProtocol, ...QuicProtocol[]],
): Listener {
  return new QuicListener(options, protocols);
}

class QuicListener implements Listener {
  readonly transport: string;
  readonly address: RemoteAddress;
  readonly #protocols: readonly QuicProtocol[];
  readonly #endpoint: Deno.QuicEndpoint;
  // All are held for the endpoint's life: it goes deaf when one is garbage-collected.
  readonly #listeners: Deno.QuicListener[] = [];
  readonly #options: Deno.QuicServerTransportOptions;
  readonly #wishes = new Wishes(() => performance.now());
  #connections = 0;
  #open = true;

  constructor(options: ListenOptions, protocols: readonly [QuicProtocol, ...QuicProtocol[]]) {
    const { hostname, port, cert, key, limits } = options;
    this.transport = protocols[0].transport;
    this.#protocols = protocols;
    this.#options = transportOptions(protocols, limits);
    try {
      this.#endpoint = withRoom(() => new Deno.QuicEndpoint({ hostname, port })).socket;
    } catch (cause) {
      throw bindError(cause, "UDP", hostname, port);
    }
    this.renew({ cert, key });
    const addr = this.#endpoint.addr;
    this.address = { hostname: addr.hostname, port: addr.port };
  }

  /** One more connection may still get the certificate of before: the one that is waited for. */
  renew({ cert, key }: Certificate): void {
    const alpnProtocols = this.#protocols.map(({ alpn }) => alpn);
    this.#listeners.push(this.#endpoint.listen({ cert, key, alpnProtocols, ...this.#options }));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Incoming> {
    while (this.#open) {
      let incoming: Deno.QuicIncoming;
      try {
        incoming = await this.#listeners.at(-1)!.incoming();
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
      for (const listener of this.#listeners) listener.stop();
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
      const congestionControl = Control[this.#wishes.pending ? "bbr" : "cubic"];
      const accepted = conn = incoming.accept({
        ...this.#options,
        congestionControl,
        zeroRtt: true,
      });
      this.#watch(accepted);
      const { hostname, port } = accepted.remoteAddr;
      admit?.({ hostname, port });
      this.#wishes.grant(hostname);
      const options = { action, timeout: HANDSHAKE_TIMEOUT, signal };
      return await withDeadline(options, async (signal) => {
        // It fulfils when the handshake has failed too: there is no protocol then.
        await accepted.handshake;
        throwIfAborted(signal, action);
        const options = { signal, wishes: this.#wishes };
        return await this.#protocolOf(accepted, action).accept(accepted, options);
      });
    } catch (cause) {
      conn?.close({ closeCode: CloseCode.limit, reason: "" });
      throw toTunnelError(cause, action, "protocol");
    }
  }

  #protocolOf({ protocol }: Deno.QuicConn, action: string): QuicProtocol {
    const found = this.#protocols.find(({ alpn }) => alpn === protocol);
    if (found) return found;
    throw new TunnelError("protocol", { action, state: "the handshake failed" });
  }

  #watch(conn: Deno.QuicConn): void {
    this.#connections++;
    const gone = () => {
      this.#connections--;
      this.#endWhenEmpty();
    };
    conn.closed.then(gone, gone);
  }

  #endWhenEmpty(): void {
    if (!this.#open && this.#connections === 0) this.#endpoint.close();
  }
}

/** What all of these protocols need: a relay does not know which one it will be. */
function transportOptions(
  protocols: readonly QuicProtocol[],
  partial: Partial<Limits> = {},
): Deno.QuicTransportOptions {
  const limits = { ...DEFAULT_LIMITS, ...partial };
  const extra = protocols.map(({ streams }) => streams);
  return {
    keepAliveInterval: Number.isFinite(limits.keepAlive) ? limits.keepAlive : undefined,
    maxIdleTimeout: limits.idleTimeout,
    maxConcurrentBidirectionalStreams: limits.streams +
      Math.max(...extra.map(({ bidirectional }) => bidirectional)),
    maxConcurrentUnidirectionalStreams: Math.max(
      ...extra.map(({ unidirectional }) => unidirectional),
    ),
  };
}

function nameOf({ transport }: QuicProtocol): string {
  return transport === "quic" ? "QUIC" : "WebTransport";
}
