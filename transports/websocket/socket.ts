/** A WebSocket over a byte connection, after the handshake: RFC 6455, sections 5 to 7. */

import { concat } from "../../core/bytes.ts";
import { describe, TunnelError } from "../../core/errors.ts";
import { decodeClose, encodeClose } from "./close_frame.ts";
import {
  encodeFrame,
  FrameError,
  headerSize,
  mask,
  MAX_HEADER,
  newKey,
  Opcode,
  writeHeader,
} from "./frame.ts";
import { type MessageSocket, WebSocketClose } from "../../core/mux/message_socket.ts";
import { FrameReader } from "./frame_reader.ts";

/** Milliseconds that the closing handshake may take. */
const CLOSE_TIMEOUT = 3_000;

/** What a WebSocket needs below it: a `Deno.Conn`, or anything like it. */
export interface ByteConn {
  read(target: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

export interface WebSocketOptions {
  /** The client masks what it sends; the server refuses what is not masked (section 5.1). */
  role: "client" | "server";
  /** Bytes of a message that are taken at most. */
  maxMessage: number;
  /** What was read behind the handshake. */
  rest?: Uint8Array;
  /** What is to go out in front of the first frame, in one piece with it. */
  preface?: Uint8Array;
  /** {@linkcode MessageSocket.nagle}. */
  nagle?: boolean;
}

/** Binary messages alone; pings are answered, and the closing handshake is kept. */
export class WebSocketConnection implements MessageSocket {
  /** Room for the longest header, and a multiple of 4 so that masking goes by words. */
  readonly headroom = (MAX_HEADER + 3) & ~3;
  readonly nagle: boolean;
  readonly #conn: ByteConn;
  readonly #client: boolean;
  readonly #reader: FrameReader;
  /** Settles when nothing more is read. */
  readonly #ended = Promise.withResolvers<void>();
  /** Settles when the write under way is over, and every one that waits behind it. */
  #writes: Promise<void> = Promise.resolve();
  #preface: Uint8Array | undefined;
  #pong: Uint8Array | undefined;
  #closing: Promise<void> | undefined;
  #aborted = false;

  constructor(conn: ByteConn, options: WebSocketOptions) {
    this.#conn = conn;
    this.#client = options.role === "client";
    this.nagle = options.nagle ?? false;
    this.#preface = options.preface;
    this.#reader = new FrameReader(conn, {
      masked: !this.#client,
      maxMessage: options.maxMessage,
      rest: options.rest,
    });
  }

  send(message: Uint8Array): Promise<void> {
    if (this.#closing) return Promise.reject(gone("it is closed"));
    const key = this.#client ? newKey() : undefined;
    const size = headerSize(message.length, this.#client);
    const start = message.byteOffset - size;
    const frame = new Uint8Array(message.buffer, start, size + message.length);
    writeHeader(frame, Opcode.binary, message.length, key);
    if (key) mask(message, key);
    return this.#write(frame);
  }

  async receive(): Promise<Uint8Array | null> {
    try {
      for (;;) {
        const frame = this.#reader.take();
        if (!frame) {
          if (await this.#reader.fill()) continue;
          break;
        }
        if (frame.opcode === Opcode.binary) return frame.payload;
        if (frame.opcode === Opcode.ping) this.#answer(frame.payload);
        if (frame.opcode === Opcode.close) return await this.#closedByPeer(frame.payload);
      }
    } catch (cause) {
      if (!(cause instanceof FrameError)) return this.#readFailed(cause);
      this.close(cause.closeCode, cause.parts.state);
      this.#discard();
      throw cause;
    }
    this.#ended.resolve();
    return null;
  }

  close(code: number, reason: string): Promise<void> {
    return this.#closing ??= this.#shake(code, reason);
  }

  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#closing ??= Promise.resolve();
    this.#conn.close();
    this.#ended.resolve();
  }

  /** Our half of the closing handshake, then the peer's, then the connection's end. */
  async #shake(code: number, reason: string): Promise<void> {
    const timer = setTimeout(() => this.abort(), CLOSE_TIMEOUT);
    const key = this.#client ? newKey() : undefined;
    const frame = encodeFrame(Opcode.close, encodeClose(code, reason), key);
    // Neither rejects here: a failed write ends the reading too, by an abort at the latest.
    this.#write(frame).catch(() => this.abort());
    await this.#ended.promise;
    clearTimeout(timer);
    this.abort();
  }

  async #closedByPeer(payload: Uint8Array): Promise<null> {
    const { code } = decodeClose(payload);
    this.close(code === 1005 ? WebSocketClose.normal : code, "");
    // The server ends the connection, so that the client's port is free at once (section 7.1.1).
    if (this.#client) await this.#discard();
    else this.#writes.then(() => this.#ended.resolve());
    return null;
  }

  /** Reads to the end without looking; ending a connection with unread bytes would reset it. */
  async #discard(): Promise<void> {
    const bytes = new Uint8Array(16 * 1024);
    try {
      while (await this.#conn.read(bytes) !== null);
    } catch {
      // Any end is an end.
    }
    this.#ended.resolve();
  }

  #readFailed(cause: unknown): null {
    const expected = this.#aborted;
    this.#ended.resolve();
    if (expected) return null;
    // A program that was killed sends no TLS close_notify: for us an end like any other.
    if (cause instanceof Error && cause.name === "UnexpectedEof") return null;
    throw gone(describe(cause), cause);
  }

  /** Answers a ping; of several that wait, the latest (section 5.5.3). */
  #answer(payload: Uint8Array): void {
    const waiting = this.#pong !== undefined;
    this.#pong = payload.slice();
    if (waiting) return;
    this.#writes.then(() => {
      const pong = this.#pong!;
      this.#pong = undefined;
      if (this.#closing) return;
      // A write that fails shows where the connection is read.
      this.#write(encodeFrame(Opcode.pong, pong, this.#client ? newKey() : undefined))
        .catch(() => {});
    });
  }

  /** Writes after what is being written; one frame is never inside another. */
  #write(frame: Uint8Array): Promise<void> {
    const written = this.#writes.then(() => this.#writeAll(frame));
    // What follows has its own failure: the connection's.
    this.#writes = written.catch(() => {});
    return written;
  }

  async #writeAll(frame: Uint8Array): Promise<void> {
    if (this.#preface) {
      frame = concat([this.#preface, frame]);
      this.#preface = undefined;
    }
    for (let at = 0; at < frame.length;) {
      if (this.#aborted) throw gone("it is closed");
      try {
        at += await this.#conn.write(at === 0 ? frame : frame.subarray(at));
      } catch (cause) {
        throw gone(describe(cause), cause);
      }
    }
  }
}

function gone(state: string, cause?: unknown): TunnelError {
  return new TunnelError("reset", { action: "use the WebSocket", state, cause });
}
