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
import type { IncomingLanes, Lanes, OutgoingLanes, Way } from "../core/lanes.ts";
import { answerDatagrams, type Asker, type Wishes } from "./congestion/answers.ts";
import { FIRST, LossWatch, type Successor } from "./congestion/watch.ts";
import { connectQuic, listenQuic, type QuicProtocol } from "./quic_endpoint.ts";
import { Pulled } from "./pulled.ts";
import { LANE_STREAMS, LaneDesk } from "./quic_lanes.ts";
import { StreamOpener } from "./stream_opener.ts";

/** Milliseconds after which a guest that has not signed in is looked at more closely. */
const LINGERING = 1_000;

/** Application-Layer Protocol Negotiation name (RFC 7301) of the tunnel protocol. */
export const ALPN = "tunnel/1";

/** The protocol, for a port that serves others too. */
export const quicProtocol: QuicProtocol = {
  alpn: ALPN,
  transport: "quic",
  streams: { bidirectional: 0, unidirectional: LANE_STREAMS },
  open: (conn, { how }) => Promise.resolve(new ClientSession(conn, how)),
  accept: (conn, { wishes }) => Promise.resolve(new RelaySession(conn, wishes)),
};

/** The QUIC transport. */
export const quic: Transport = {
  name: "quic",
  async connect(url, options = {}) {
    const { replaces } = options;
    const how = replaces instanceof ClientSession ? await replaces.successor() : FIRST;
    return await connectQuic(quicProtocol, url, options, how);
  },
  listen: (options) => Promise.resolve().then(() => listenQuic(options, [quicProtocol])),
};

/** A session over an established QUIC connection, client's or server's. */
abstract class QuicSession implements Session, Way {
  readonly transport = "quic";
  waiting = 0;
  readonly remote: RemoteAddress;
  readonly closed: Promise<CloseInfo>;
  readonly incoming: Pulled<Deno.QuicBidirectionalStream>;
  readonly #conn: Deno.QuicConn;
  readonly #opener: StreamOpener;
  #desk: LaneDesk | undefined;
  #isLooking = false;
  #closing?: CloseInfo;

  constructor(conn: Deno.QuicConn) {
    this.#conn = conn;
    const { hostname, port } = conn.remoteAddr;
    this.remote = { hostname, port };
    this.#opener = new StreamOpener(async () =>
      this.#wrap(await conn.createBidirectionalStream({ waitUntilAvailable: true }))
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
    this.closed.catch(ignore); // Asking for it is optional.
    const wrap = (stream: Deno.QuicBidirectionalStream) => this.#wrap(stream);
    this.incoming = new Pulled(conn.incomingBidirectionalStreams, this.closed, wrap);
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

  /** For what cannot be, and would be kept if nobody read it: over a megabyte of it. */
  protected refuse(reason: string): void {
    this.close({ code: CloseCode.protocol, reason });
  }

  /** Whether the peer may open unidirectional streams: lanes of its others. */
  protected abstract get mayHaveLanes(): boolean;

  /** Looks at the unidirectional streams that the peer opens, or has opened. */
  protected lookAtOthers(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    (async () => {
      for await (const stream of this.#conn.incomingUnidirectionalStreams) {
        if (!this.mayHaveLanes) return this.refuse("a unidirectional stream came");
        this.#lanes.take(stream);
      }
    })().catch(ignore); // The session is over.
  }

  /** Made when it is needed: a relay has thousands of sessions that never do. */
  get #lanes(): LaneDesk {
    if (this.#desk) return this.#desk;
    const desk = this.#desk = new LaneDesk(this.#conn, (reason) => this.refuse(reason));
    const over = () => desk.close();
    this.closed.then(over, over);
    return desk;
  }

  #wrap(stream: Deno.QuicBidirectionalStream): Stream {
    return new QuicStream(stream, this);
  }

  /** The lanes of one of its streams. */
  lanesOf(id: bigint): Pick<Lanes, "open" | "watch"> {
    this.lookAtOthers();
    return this.#lanes.of(id);
  }
}

/** A stream, and its lanes: one object, because a relay has one at least for each of its sessions. */
class QuicStream implements Stream, Lanes {
  readonly #stream: Deno.QuicBidirectionalStream;
  readonly #session: QuicSession;

  constructor(stream: Deno.QuicBidirectionalStream, session: QuicSession) {
    this.#stream = stream;
    this.#session = session;
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#stream.readable;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#stream.writable;
  }

  get lanes(): Lanes {
    return this;
  }

  get way(): Way {
    return this.#session;
  }

  // The platform tells the ID of a direction for as long as that lasts.

  // deno-lint-ignore require-await -- what is thrown is a rejection
  async open(): Promise<OutgoingLanes | undefined> {
    return this.#session.lanesOf(this.#stream.writable.id).open();
  }

  watch(onOpened: (lanes: IncomingLanes) => void): () => void {
    return this.#session.lanesOf(this.#stream.readable.id).watch(onOpened);
  }
}

/** A client's session: looks at how the way treats packets while it carries much. */
class ClientSession extends QuicSession {
  readonly outgrown: Promise<void>;
  readonly #watch: LossWatch;

  constructor(conn: Deno.QuicConn, how: Successor) {
    super(conn);
    this.lookAtOthers();
    const over = new AbortController();
    this.closed.catch(() => {}).finally(() => over.abort());
    const onMisuse = () => this.refuse(MISUSE);
    this.#watch = new LossWatch({ ...how, conn, ended: over.signal, onMisuse });
    this.outgrown = this.#watch.outgrown;
  }

  protected get mayHaveLanes(): boolean {
    return true;
  }

  carried(bytes: number): void {
    this.#watch.carried(bytes);
  }

  /** @throws {TunnelError} `unreachable` when the relay does not answer */
  successor(): Promise<Successor> {
    return this.#watch.successor();
  }
}

/** A relay's session: answers the datagrams of members. */
class RelaySession extends QuicSession implements Asker {
  readonly #wishes: Wishes;
  #isMember = false;
  /**
   * Looks at a guest who lingers. To look at everybody would be 4 kB of memory for each; a member who
   * opens what nobody reads holds no more with it than with the streams that it may open.
   */
  #look: ReturnType<typeof setTimeout> | undefined;

  constructor(conn: Deno.QuicConn, wishes: Wishes) {
    super(conn);
    this.#wishes = wishes;
    this.#look = setTimeout(() => this.lookAtOthers(), LINGERING);
    answerDatagrams(conn, this);
  }

  protected get mayHaveLanes(): boolean {
    return this.#isMember;
  }

  get isMember(): boolean {
    return this.#isMember;
  }

  wished(): void {
    this.#wishes.add(this.remote.hostname);
  }

  misused(): void {
    this.refuse(MISUSE);
  }

  override close(info?: CloseInfo): void {
    clearTimeout(this.#look);
    super.close(info);
  }

  welcome(): void {
    this.#isMember = true;
    clearTimeout(this.#look);
    this.#look = undefined;
  }
}

const MISUSE = "a datagram came";

function ignore(): void {}
