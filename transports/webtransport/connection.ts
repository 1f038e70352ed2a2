/**
 * A connection of HTTP/3 (RFC 9114), either end's: the control streams, QPACK's, and the sorting of
 * what else comes. A rule that the peer breaks ends it with the code that the RFC names.
 */

import { refuseStream } from "../../core/arrivals.ts";
import { concat } from "../../core/bytes.ts";
import { closeInfo, type Stream } from "../../core/transport.ts";
import { Http3Code, Http3Error } from "./errors.ts";
import {
  encodeFrame,
  type FrameHeader,
  FrameReader,
  FrameType,
  isUnknown,
  StreamType,
} from "./frame.ts";
import { PrefixReader } from "./prefix.ts";
import { checkEncoder, DecoderCheck } from "./qpack_streams.ts";
import { type QuicConnection, type QuicStream, stopReading } from "./quic.ts";
import {
  decodeSettings,
  encodeSettings,
  MAX_SETTINGS,
  ownSettings,
  type Settings,
} from "./settings.ts";
import { decodeVarint, encodeVarint } from "./varint.ts";

/** Requests that one connection may make, the session's own included. */
const MAX_REQUESTS = 32;
/** Bytes that a session's stream begins with at least; a request has more. */
const LEAST_PREFIX = 3;
/** Bytes of a frame whose payload is one number. */
const MAX_NUMBER = 8;

/** Who is told what the peer does. */
export interface Http3Handler {
  /** A request begins on a client's stream. What it rejects with, if an Http3Error, ends all. */
  request(stream: QuicStream, frames: FrameReader): Promise<void>;
  /** A stream of a session, everything before its first byte taken off. */
  stream(session: bigint, stream: Stream): void;
  datagram(session: bigint, payload: Uint8Array): void;
  /** The peer has broken a rule; the connection is closed. */
  failed(error: Http3Error): void;
}

export class Http3Connection {
  readonly role: "client" | "server";
  readonly conn: QuicConnection;
  /** The peer's. Never settles when the connection ends first. */
  readonly settings: Promise<Settings>;
  readonly #handler: Http3Handler;
  readonly #settings: PromiseWithResolvers<Settings> = Promise.withResolvers();
  /** Held for the connection's life: a stream whose writer is collected ends. */
  readonly #control: Promise<WritableStreamDefaultWriter<Uint8Array>>;
  /** Types of streams that may come once, and have. */
  readonly #seen = new Set<bigint>();
  #requests = 0;
  #goaway: bigint | undefined;
  #maxPush: bigint | undefined;

  constructor(conn: QuicConnection, role: "client" | "server", handler: Http3Handler) {
    this.conn = conn;
    this.role = role;
    this.#handler = handler;
    this.settings = this.#settings.promise;
    conn.closed.catch(() => {}); // Whoever waits for it learns how it ended.
    this.#control = this.#openControl();
    this.#control.catch(() => {}); // The connection is gone, as it says itself.
    this.#guard(this.#acceptBidirectional());
    this.#guard(this.#acceptUnidirectional());
    this.#guard(this.#receiveDatagrams());
  }

  /** Ends it in order. The first call counts. */
  close(): void {
    this.conn.close({ closeCode: Http3Code.noError, reason: "" });
  }

  /** Ends it for a rule that the peer broke. */
  fail(error: Http3Error): void {
    const { code: closeCode, reason } = closeInfo(error.http3Code, error.parts.state);
    this.#handler.failed(error);
    this.conn.close({ closeCode, reason });
  }

  /** Says that requests from this one on are not taken any more (RFC 9114, section 5.2). */
  async goAway(request: bigint): Promise<void> {
    await (await this.#control).write(encodeFrame(FrameType.goaway, encodeVarint(request)));
  }

  /** Opens a stream of a session, which begins behind what says so. */
  async openStream(session: bigint): Promise<Stream> {
    const stream = await this.conn.createBidirectionalStream({ waitUntilAvailable: true });
    const writer = stream.writable.getWriter();
    await writer.write(concat([encodeVarint(FrameType.webTransport), encodeVarint(session)]));
    writer.releaseLock();
    return stream;
  }

  /** RFC 9297, section 2.1. Rejects when it does not fit. */
  async sendDatagram(session: bigint, payload: Uint8Array): Promise<void> {
    await this.conn.sendDatagram(concat([encodeVarint(session >> 2n), payload]));
  }

  async #openControl(): Promise<WritableStreamDefaultWriter<Uint8Array>> {
    const stream = await this.conn.createUnidirectionalStream({ waitUntilAvailable: true });
    const writer = stream.getWriter();
    const settings = encodeFrame(FrameType.settings, encodeSettings(ownSettings()));
    await writer.write(concat([encodeVarint(StreamType.control), settings]));
    return writer;
  }

  async #acceptBidirectional(): Promise<void> {
    // Its end is the connection's. Streams that wait for their first bytes delay no others.
    for await (const stream of this.conn.incomingBidirectionalStreams) {
      this.#guard(this.#sort(stream));
    }
  }

  async #sort(stream: QuicStream): Promise<void> {
    const prefix = new PrefixReader(stream.readable, LEAST_PREFIX);
    const type = await prefix.varint();
    if (type === FrameType.webTransport) {
      const session = await prefix.varint();
      prefix.release();
      if (session === null) return refuseStream(stream);
      this.#handler.stream(checkSession(session), stream);
      return;
    }
    prefix.release();
    if (this.role === "client") {
      throw new Http3Error(Http3Code.streamCreationError, "the server opened a request");
    }
    if (type === null) return refuseStream(stream);
    if (++this.#requests > MAX_REQUESTS) {
      throw new Http3Error(Http3Code.excessiveLoad, `there are more than ${MAX_REQUESTS} requests`);
    }
    await this.#handler.request(stream, new FrameReader(stream.readable, prefix.taken));
  }

  async #acceptUnidirectional(): Promise<void> {
    for await (const stream of this.conn.incomingUnidirectionalStreams) {
      this.#guard(this.#take(stream));
    }
  }

  async #take(readable: ReadableStream<Uint8Array>): Promise<void> {
    const prefix = new PrefixReader(readable);
    const type = await prefix.varint();
    if (type === StreamType.webTransport) {
      const session = await prefix.varint();
      if (session !== null) checkSession(session);
    }
    prefix.release();
    switch (type) {
      case StreamType.control:
        return await this.#critical(type, this.#readControl(new FrameReader(readable)));
      case StreamType.qpackEncoder:
        return await this.#critical(type, readAll(readable, checkEncoder));
      case StreamType.qpackDecoder: {
        const check = new DecoderCheck();
        return await this.#critical(type, readAll(readable, (chunk) => check.take(chunk)));
      }
      case StreamType.push:
        throw this.role === "server"
          ? new Http3Error(Http3Code.streamCreationError, "a client pushes")
          : new Http3Error(Http3Code.idError, "the server pushes, unasked");
      default:
        // WebTransport's have no use here; the others mean nothing (RFC 9114, section 6.2).
        stopReading(readable);
    }
  }

  /** A stream without which there is no connection (RFC 9114, section 6.2.1; RFC 9204, section 4.2). */
  async #critical(type: bigint, work: Promise<void>): Promise<void> {
    const isSecond = this.#seen.has(type);
    this.#seen.add(type);
    try {
      if (isSecond) {
        work.catch(() => {}); // What is wrong is that it came at all.
        throw new Http3Error(Http3Code.streamCreationError, `stream type ${type} came twice`);
      }
      await work;
    } catch (cause) {
      if (cause instanceof Http3Error) throw cause;
      // It was reset, or the connection is gone: then it cannot be ended once more.
    }
    throw new Http3Error(Http3Code.closedCriticalStream, `the stream of type ${type} ended`);
  }

  async #readControl(frames: FrameReader): Promise<void> {
    const first = await frames.next();
    if (!first) return;
    if (first.type !== FrameType.settings) {
      throw new Http3Error(Http3Code.missingSettings, "the control stream starts without SETTINGS");
    }
    this.#settings.resolve(decodeSettings(await frames.payload(MAX_SETTINGS)));
    for (let header; (header = await frames.next());) await this.#controlFrame(header, frames);
  }

  /** RFC 9114, section 7.2. */
  async #controlFrame({ type }: FrameHeader, frames: FrameReader): Promise<void> {
    if (isUnknown(type)) return await frames.skip();
    const isServer = this.role === "server";
    if (type === FrameType.goaway) {
      const id = await numberOf(frames);
      // A server names a request, a client a push.
      if (!isServer && id % 4n !== 0n) throw idError("GOAWAY names no request");
      if (this.#goaway !== undefined && id > this.#goaway) throw idError("GOAWAY takes back");
      this.#goaway = id;
    } else if (type === FrameType.maxPushId && isServer) {
      const id = await numberOf(frames);
      if (this.#maxPush !== undefined && id < this.#maxPush) {
        throw idError("MAX_PUSH_ID takes back");
      }
      this.#maxPush = id;
    } else if (type === FrameType.cancelPush) {
      await numberOf(frames);
      throw idError("a push is cancelled that was never promised");
    } else {
      throw new Http3Error(Http3Code.frameUnexpected, `frame type ${type} on the control stream`);
    }
  }

  async #receiveDatagrams(): Promise<void> {
    for (;;) {
      const bytes = await this.conn.readDatagram();
      const quarter = decodeVarint(bytes);
      if (!quarter || quarter.value >= 1n << 60n) {
        throw new Http3Error(Http3Code.datagramError, "a datagram names no stream");
      }
      this.#handler.datagram(quarter.value << 2n, bytes.subarray(quarter.end));
    }
  }

  #guard(work: Promise<void>): void {
    work.catch((cause) => {
      // A stream that was reset ends alone; the end of the connection is told by itself.
      if (cause instanceof Http3Error) this.fail(cause);
    });
  }
}

/** Sessions are named by the client's request (draft-ietf-webtrans-http3, section 4). */
function checkSession(id: bigint): bigint {
  if (id % 4n === 0n) return id;
  throw idError(`${id} is no session`);
}

async function numberOf(frames: FrameReader): Promise<bigint> {
  const payload = await frames.payload(MAX_NUMBER);
  const number = decodeVarint(payload);
  if (number?.end === payload.length) return number.value;
  throw new Http3Error(Http3Code.frameError, "a frame is not the one number it should be");
}

async function readAll(
  readable: ReadableStream<Uint8Array>,
  take: (chunk: Uint8Array) => void,
): Promise<void> {
  for await (const chunk of readable) take(chunk);
}

function idError(state: string): Http3Error {
  return new Http3Error(Http3Code.idError, state);
}
