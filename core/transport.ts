/**
 * The contract of a transport: an encrypted connection ("session") between an endpoint and a
 * relay that carries many byte streams. The engine in `core/` knows a transport by this file alone;
 * `tests/conformance.ts` is its executable form.
 */

import type { TunnelError } from "./errors.ts";
import type { Lanes } from "./lanes.ts";

/**
 * A bidirectional byte stream.
 *
 * - `writable.close()`: the peer reads every byte written, then the end.
 * - `writable.abort()`: the peer's reading stops, by an error or by an end. A transport may be unable
 *   to tell the two apart, so an end at this layer never proves that the peer was finished; the
 *   record layer (`core/channel/`) does.
 * - `readable.cancel()`: the peer's next writes reject.
 * - A write settles when the transport has room for more, so a slow reader stalls its writer. The
 *   buffer passed to a write must not be changed until the write has settled.
 */
export interface Stream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** The same without the machinery of web streams, where the transport has it. */
  readonly direct?: DirectStream;
  /**
   * Where one stream carries little on a long way. {@linkcode BlockReader} and {@linkcode ByteWriter}
   * see to them; who writes to `writable` itself has none, and who reads `readable` itself must have
   * a peer that does so.
   */
  readonly lanes?: Lanes;
}

/**
 * A {@linkcode Stream} as calls: bytes go straight from and to the caller's memory. What holds for
 * its web streams holds here; who uses this uses neither of them.
 */
export interface DirectStream {
  /** Fills some of `target`; says how many bytes, null at the end. One call at a time. */
  read(target: Uint8Array): Promise<number | null>;
  /** Settles when there is room for more. One call at a time, {@linkcode DirectStream.close} too. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the writing direction; settles when the end has gone out. */
  close(): Promise<void>;
  /** Gives the writing direction up: a write under way rejects. */
  abort(): void;
  /** Gives the reading direction up: a read under way ends. */
  cancel(): void;
}

/** Why a session ended: a code of {@linkcode CloseCode} and at most 120 bytes of text. */
export interface CloseInfo {
  readonly code: number;
  readonly reason: string;
}

/** The codes of an orderly close, the same on every transport (docs/PROTOCOL.md, "Closing"). */
export const CloseCode = {
  /** Nothing more to do. */
  done: 0,
  /** A newer session of the same device took over. */
  replaced: 1,
  /** The relay is going away; connect again. */
  goingAway: 2,
  /** Identity or policy says no; do not connect again. */
  refused: 3,
  /** The peer broke the protocol. */
  protocol: 4,
  /** A limit was reached; connect again later. */
  limit: 5,
  /** A deadline passed. */
  timeout: 6,
} as const;

/** A close code with its reason, the text cut to what every transport carries (RFC 6455, 5.5). */
export function closeInfo(code: number, reason: string): CloseInfo {
  const bytes = new TextEncoder().encode(reason);
  if (bytes.length <= 120) return { code, reason };
  const cut = new TextDecoder().decode(bytes.subarray(0, 117)).replace(/\ufffd+$/, "");
  return { code, reason: `${cut}...` };
}

/** Where a session's peer is, as this end sees it. */
export interface RemoteAddress {
  readonly hostname: string;
  readonly port: number;
}

/** A connection that carries streams. */
export interface Session extends AsyncDisposable {
  /** The name of the transport that made it: "quic", "webtransport", "websocket", "memory". */
  readonly transport: string;
  readonly remote: RemoteAddress;
  /**
   * Fulfils when the session was closed in order by either side, with what that side said, and
   * after a close of our own has left this machine. Rejects with a {@linkcode TunnelError} when the
   * session was lost.
   */
  readonly closed: Promise<CloseInfo>;
  /**
   * Streams that the peer opened, as they are asked for. Ends when `closed` fulfils, rejects when that
   * does. Those that nobody asks for are bounded by {@linkcode Limits.streams}.
   */
  readonly incoming: AsyncIterableIterator<Stream>;
  /** Opens a stream; waits while the peer's stream limit is reached. */
  openStream(options?: { signal?: AbortSignal }): Promise<Stream>;
  /** Ends the session and every stream on it. The first call counts. */
  close(info?: CloseInfo): void;
  /**
   * A client's: fulfils when a new session by the same transport, made with
   * {@linkcode ConnectOptions.replaces}, would carry more. Never rejects.
   */
  readonly outgrown?: Promise<void>;
  /** Told by the user of a client's session what channels on it have carried, bytes either way. */
  carried?(bytes: number): void;
  /** Told by a relay that the peer has signed in. */
  welcome?(): void;
}

/** Bounds and timers of a session; each end states its own. */
export interface Limits {
  /** Streams the peer may have open at once. 1 to 1,000; default 256. */
  streams: number;
  /**
   * Milliseconds without a sign of the peer after which this end asks for one; default 2,000. Infinity:
   * it leaves that to the peer.
   */
  keepAlive: number;
  /**
   * Milliseconds without a sign of the peer after which it counts as dead, the lower one of both ends;
   * default 6,500. QUIC starts the count anew once when a keepalive goes out (RFC 9000, section 10.1),
   * so whoever sends them notices a peer's death within the sum of both.
   */
  idleTimeout: number;
  /**
   * How many times as long both are while no stream but the first is open, where the transport can
   * tell (QUIC cannot); at least 1, default 1. Above 1 an end at rest asks within two thirds of that
   * timeout.
   */
  atRest: number;
}

/** The documented defaults of {@linkcode Limits}. */
export const DEFAULT_LIMITS: Readonly<Limits> = {
  streams: 256,
  keepAlive: 2_000,
  idleTimeout: 6_500,
  atRest: 1,
};

/**
 * A relay's, instead. It keeps idle devices alive itself, and seldom: thousands of them cost it an
 * exchange each time. Since it is not they who ask, they notice its death within the idle timeout alone.
 * Streams cost memory from the handshake on, of every session alike: 100 would cost 5 kB more. An
 * operator that needs more of them opens more sessions (`core/places.ts`).
 * Where TCP tells of a relay's death at once, who rests is asked more seldom still.
 */
export const RELAY_LIMITS: Readonly<Limits> = {
  streams: 16,
  keepAlive: 6_500,
  idleTimeout: 9_000,
  atRest: 3,
};

/** A device's, instead: its relay keeps it alive. */
export const DEVICE_LIMITS: Readonly<Limits> = {
  ...DEFAULT_LIMITS,
  keepAlive: Infinity,
  idleTimeout: RELAY_LIMITS.idleTimeout,
  atRest: RELAY_LIMITS.atRest,
};

export interface ConnectOptions {
  /** Cancels the attempt and leaves nothing of it behind. */
  signal?: AbortSignal;
  /** Root certificates (PEM) to trust beside the platform's. */
  caCerts?: string[];
  /** An HTTP CONNECT proxy, `http://user:password@host:port`. Only WebSocket passes one. */
  proxy?: URL;
  limits?: Partial<Limits>;
  /** The outgrown session to the same relay whose place the new one takes. */
  replaces?: Session;
}

/** What a listener shows its clients, PEM. */
export interface Certificate {
  /** The chain. */
  cert: string;
  /** The first one's private key. */
  key: string;
}

export interface ListenOptions extends Certificate {
  hostname: string;
  /** 0 picks a free port. */
  port: number;
  limits?: Partial<Limits>;
  /** Told, once a minute, that connections cannot be accepted for want of files or memory. */
  onShortage?: (shortage: TunnelError) => void;
}

/** Makes sessions of one kind. */
export interface Transport {
  readonly name: string;
  /** Dials `tunnel://host:port`. Rejects with a TunnelError: `unreachable`, `aborted`, `usage`. */
  connect(url: URL, options?: ConnectOptions): Promise<Session>;
  listen(options: ListenOptions): Promise<Listener>;
}

/** Yields connections that wait to be admitted; iteration ends when the listener is closed. */
export interface Listener extends AsyncIterable<Incoming>, AsyncDisposable {
  readonly transport: string;
  readonly address: RemoteAddress;
  /** Shows another certificate to those who come from now on. Absent where the platform cannot. */
  renew?(certificate: Certificate): void;
  /** Stops listening. Sessions already accepted live on. */
  close(): Promise<void>;
}

export interface AcceptOptions {
  signal?: AbortSignal;
  /**
   * Judges the peer's address as soon as it is known, before the handshake. What it throws ends the
   * connection at the least cost, and rejects the accept.
   */
  admit?: (remote: RemoteAddress) => void;
}

/** A connection before this end has spent anything on it. */
export interface Incoming {
  readonly transport: string;
  /**
   * The peer's address, where the transport knows it before accepting. Without it nothing has shown
   * that the peer receives what is sent to its address.
   */
  readonly remote?: RemoteAddress;
  /**
   * Finishes the handshake. Rejects with a TunnelError when the peer does not play by it; a transport
   * may be unable to tell that from a session that is lost right away.
   */
  accept(options?: AcceptOptions): Promise<Session>;
  /** Turns it away at the least cost. */
  refuse(): void;
}
