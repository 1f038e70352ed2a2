/**
 * A WebTransport session (draft-ietf-webtrans-http3): the streams and datagrams that name it, and the
 * stream of its CONNECT, on which capsules say how it ends. A connection carries one session, and ends
 * with it.
 */

import { Arrivals, refuseStream } from "../../core/arrivals.ts";
import { delay, throwIfAborted } from "../../core/deadline.ts";
import { describe, TunnelError } from "../../core/errors.ts";
import {
  CloseCode,
  type CloseInfo,
  closeInfo,
  type RemoteAddress,
  type Session,
  type Stream,
} from "../../core/transport.ts";
import { StreamOpener } from "../stream_opener.ts";
import { CapsuleReader, encodeClose } from "./capsule.ts";
import type { Http3Connection } from "./connection.ts";
import { Datagrams } from "./datagrams.ts";
import { Http3Code, Http3Error } from "./errors.ts";
import { encodeFrame, type FrameReader, FrameType, isUnknown } from "./frame.ts";

/** Milliseconds that an orderly end may take when the peer does not play along. */
const CLOSE_TIMEOUT = 3_000;
/** The same for a peer that has broken a rule or met a limit. */
const SHORT_TIMEOUT = 1_000;

export interface SessionParts {
  readonly connection: Http3Connection;
  /** The stream id of its CONNECT. */
  readonly id: bigint;
  /** What comes behind the request, or the response. */
  readonly frames: FrameReader;
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly remote: RemoteAddress;
}

export class WebTransportSession implements Session {
  readonly transport = "webtransport";
  readonly id: bigint;
  readonly remote: RemoteAddress;
  readonly closed: Promise<CloseInfo>;
  /** No more wait in it than the peer may have open: a place is free once a stream was read. */
  readonly incoming = new Arrivals();
  readonly datagrams: Datagrams;
  readonly #parts: SessionParts;
  readonly #settle: PromiseWithResolvers<CloseInfo> = Promise.withResolvers();
  readonly #opener: StreamOpener;
  /** Fires when it is over for the application. */
  readonly #over = new AbortController();
  /** Fulfils when nothing more comes on the CONNECT's stream. */
  readonly #silent: Promise<void>;

  constructor(parts: SessionParts) {
    const { connection, id, remote } = parts;
    this.#parts = parts;
    this.id = id;
    this.remote = remote;
    this.closed = this.#settle.promise;
    this.closed.catch(() => {}); // Asking for it is optional.
    this.#opener = new StreamOpener(() => connection.openStream(id));
    this.datagrams = new Datagrams((payload) => connection.sendDatagram(id, payload));
    connection.conn.closed.then(
      ({ closeCode = 0, reason = "" }) => this.#connectionClosed(closeCode, reason),
      (cause) => this.fail(this.#lost(describe(cause), cause)),
    );
    this.#silent = this.#listen();
  }

  async openStream({ signal }: { signal?: AbortSignal } = {}): Promise<Stream> {
    const over = this.#over.signal;
    throwIfAborted(over, "open a stream");
    return await this.#opener.open(signal ? AbortSignal.any([signal, over]) : over);
  }

  close(info: CloseInfo = { code: CloseCode.done, reason: "" }): void {
    if (!this.#end(closedError(info))) return;
    this.#leave(closeInfo(info.code, info.reason)).then(() => this.#settle.resolve(info));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed.catch(() => {}); // How it ended is for those who ask.
  }

  /** A stream of the peer's. */
  arrived(stream: Stream): void {
    if (this.#over.signal.aborted) refuseStream(stream);
    else this.incoming.push(stream);
  }

  /** Ends it as lost, or for a rule that the peer broke. */
  fail(error: TunnelError): void {
    if (this.#end(error)) this.#settle.reject(error);
  }

  /** Ends it for the application; false when it has ended before. */
  #end(error: TunnelError): boolean {
    if (this.#over.signal.aborted) return false;
    this.#over.abort(error);
    this.datagrams.end();
    this.incoming.end(error.code === "closed" ? undefined : error);
    return true;
  }

  /** Says why, waits until the peer has heard it, and ends the connection. */
  async #leave(info: CloseInfo): Promise<void> {
    const isShort = info.code === CloseCode.protocol || info.code === CloseCode.limit;
    const { connection } = this.#parts;
    const left = new AbortController();
    await Promise.race([
      this.#sayGoodbye(info).catch(() => {}), // The connection is gone, and everything with it.
      connection.conn.closed.catch(() => {}), // The same.
      delay(isShort ? SHORT_TIMEOUT : CLOSE_TIMEOUT, left.signal),
    ]);
    left.abort();
    connection.close();
    await connection.conn.closed.catch(() => {}); // It is over either way.
  }

  async #sayGoodbye(info: CloseInfo): Promise<void> {
    const { connection, writer, id } = this.#parts;
    if (info.code === CloseCode.goingAway && connection.role === "server") {
      await connection.goAway(id + 4n);
    }
    await writer.write(encodeFrame(FrameType.data, encodeClose(info)));
    await writer.close();
    await this.#silent;
  }

  /** Reads the CONNECT's stream to its end. Never rejects. */
  async #listen(): Promise<void> {
    const { connection } = this.#parts;
    try {
      await this.#readCapsules();
      this.#closedByPeer({ code: CloseCode.done, reason: "" });
    } catch (cause) {
      if (cause instanceof Http3Error) return connection.fail(cause);
      if (this.#over.signal.aborted) return;
      this.fail(this.#lost(describe(cause), cause));
      connection.close();
    }
  }

  async #readCapsules(): Promise<void> {
    const { frames } = this.#parts;
    const capsules = new CapsuleReader();
    let isClosed = false;
    for (let header; (header = await frames.next());) {
      if (isUnknown(header.type)) {
        await frames.skip();
        continue;
      }
      if (header.type !== FrameType.data) {
        throw new Http3Error(Http3Code.frameUnexpected, `frame type ${header.type} in a session`);
      }
      for (let piece; (piece = await frames.piece());) {
        if (isClosed) throw new Http3Error(Http3Code.messageError, "it goes on behind its end");
        const info = capsules.take(piece);
        if (!info) continue;
        isClosed = true;
        this.#closedByPeer(info);
      }
    }
    if (!capsules.isWhole) throw new Http3Error(Http3Code.messageError, "a capsule is cut off");
  }

  /** Answers with an end of its own; it is the peer who ends the connection, if it does so soon. */
  #closedByPeer(info: CloseInfo): void {
    if (!this.#end(closedError(info))) return;
    this.#settle.resolve(info);
    const { connection, writer } = this.#parts;
    writer.close().catch(() => {}); // The connection is gone already.
    const gone = new AbortController();
    connection.conn.closed.catch(() => {}).finally(() => gone.abort());
    delay(SHORT_TIMEOUT, gone.signal).then(() => connection.close());
  }

  #connectionClosed(code: number, reason: string): void {
    // A page that is left says no more than this.
    if (code === Http3Code.noError) {
      const info = { code: CloseCode.done, reason };
      if (this.#end(closedError(info))) this.#settle.resolve(info);
    } else {
      this.fail(this.#lost(reason || `HTTP/3 error 0x${code.toString(16)}`));
    }
  }

  #lost(why: string, cause?: unknown): TunnelError {
    const action = `keep the session with ${this.remote.hostname}`;
    return new TunnelError("reset", { action, state: `it was lost: ${why}`, cause });
  }
}

function closedError({ reason }: CloseInfo): TunnelError {
  const state = `it was closed${reason ? `: ${reason}` : ""}`;
  return new TunnelError("closed", { action: "use the session", state });
}
