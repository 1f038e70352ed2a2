/** A session: many streams over one {@linkcode MessageSocket}. */

import { withDeadline } from "../deadline.ts";
import { toTunnelError, TunnelError } from "../errors.ts";
import {
  CloseCode,
  type CloseInfo,
  DEFAULT_LIMITS,
  type Limits,
  type RemoteAddress,
  type Session,
  type Stream,
} from "../transport.ts";
import { decodeFrames, Flag, type FrameHandler, type Settings, violation } from "./frame.ts";
import { Keepalive } from "./keepalive.ts";
import { type MessageSocket, WebSocketClose } from "./message_socket.ts";
import { INITIAL_WINDOW } from "./receive_half.ts";
import { RoundTrip } from "./round_trip.ts";
import { MAX_CREDIT } from "./send_half.ts";
import { StreamTable } from "./stream_table.ts";
import { Writer } from "./writer.ts";

/** Milliseconds that an orderly end may take when the peer does not play along. */
const CLOSE_TIMEOUT = 3_000;
/** Bytes that are still taken, unread, of a peer that has broken a rule or met a limit. */
const MAX_SCRAP = 256 * 1024;

export interface MuxOptions {
  /** Which ids are this side's: the client opens the odd ones. */
  role: "client" | "server";
  /** {@linkcode Session.transport}. */
  transport: string;
  remote: RemoteAddress;
  limits?: Partial<Limits>;
}

/** A session that says how many streams can be opened without waiting. */
export interface Multiplexed extends Session {
  readonly places: number;
  /** Fulfils when the peer has said how many there may be; rejects when the session ends before. */
  readonly greeted: Promise<void>;
}

/** Carries streams over the socket, which it owns from now on. */
export function multiplex(socket: MessageSocket, options: MuxOptions): Multiplexed {
  return new MuxSession(socket, options);
}

class MuxSession implements Multiplexed, FrameHandler {
  readonly transport: string;
  readonly remote: RemoteAddress;
  readonly closed: Promise<CloseInfo>;
  readonly #settle: PromiseWithResolvers<CloseInfo> = Promise.withResolvers();
  readonly #socket: MessageSocket;
  readonly #writer: Writer;
  readonly #roundTrip = new RoundTrip();
  readonly #keepalive: Keepalive;
  readonly #streams: StreamTable;
  readonly #greeting = Promise.withResolvers<void>();
  #greeted = false;
  #over = false;
  /** Bytes that may still come behind the end. */
  #scrap = Infinity;

  constructor(socket: MessageSocket, { role, transport, remote, limits }: MuxOptions) {
    const { streams, keepAlive, idleTimeout, atRest } = { ...DEFAULT_LIMITS, ...limits };
    this.transport = transport;
    this.remote = remote;
    this.closed = this.#settle.promise;
    this.closed.catch(() => {}); // Asking for it is optional.
    this.greeted.catch(() => {});
    this.#socket = socket;
    const roundTrip = this.#roundTrip;
    const writer = this.#writer = new Writer(socket, roundTrip, (cause) => this.#lose(cause));
    this.#keepalive = new Keepalive({
      ...{ keepAlive, idleTimeout, atRest },
      always: role === "client",
      ask: () => this.#ask(),
      dead: (silence) => this.#lose(lost(`no sign of the peer for ${Math.round(silence)} ms`)),
    });
    const onRest = (isResting: boolean) => this.#keepalive.rest(isResting);
    this.#streams = new StreamTable({ role, limit: streams, writer, roundTrip, onRest });
    const restTimeout = idleTimeout * atRest;
    writer.settings({ streams, window: INITIAL_WINDOW, idleTimeout, restTimeout });
    this.#ask();
    this.#read();
  }

  get incoming(): AsyncIterableIterator<Stream> {
    return this.#streams.incoming;
  }

  get greeted(): Promise<void> {
    return this.#greeting.promise;
  }

  get places(): number {
    return this.#streams.places;
  }

  openStream({ signal }: { signal?: AbortSignal } = {}): Promise<Stream> {
    return this.#streams.open(signal);
  }

  close(info: CloseInfo = { code: CloseCode.done, reason: "" }): void {
    if (!this.#end(closedError(info))) return;
    this.#leave(info, WebSocketClose.normal).then(() => this.#settle.resolve(info));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed.catch(() => {}); // How it ended is for those who ask.
  }

  settings({ streams, window, idleTimeout, restTimeout }: Settings): void {
    if (this.#greeted) throw violation("SETTINGS came twice");
    if (window > MAX_CREDIT) throw violation("SETTINGS grant more than 2^31 bytes");
    this.#greeted = true;
    this.#keepalive.limit(idleTimeout, restTimeout);
    this.#streams.start(window, streams);
    this.#greeting.resolve();
  }

  data(id: number, flags: number, payload: Uint8Array): void {
    this.#check();
    const opens = (flags & Flag.open) !== 0;
    const stream = opens ? this.#streams.admit(id) : this.#streams.find(id);
    if (!stream) throw violation(`DATA came for stream ${id}, which is over`);
    stream.receive.receive(flags, payload);
    if (opens) this.#streams.arrived(stream);
  }

  reset(id: number, code: number): void {
    this.#check();
    const stream = this.#streams.find(id);
    if (!stream) throw violation(`RESET came for stream ${id}, which is over`);
    stream.receive.reset(code);
  }

  stop(id: number, code: number): void {
    this.#check();
    this.#streams.find(id)?.send.stop(code);
  }

  credit(id: number, bytes: number): void {
    this.#check();
    this.#streams.find(id)?.send.addCredit(bytes);
  }

  streams(more: number): void {
    this.#check();
    this.#streams.allow(more);
  }

  ping(value: number): void {
    this.#check();
    this.#writer.pong(value);
  }

  pong(value: number): void {
    this.#check();
    this.#roundTrip.answered(value);
    // Where small writes wait for one another, PINGs without need would hold up others.
    if (this.#roundTrip.wanting && !this.#socket.nagle) this.#ask();
  }

  closing(code: number, reason: string): void {
    const info = { code, reason };
    if (!this.#end(closedError(info))) return;
    this.#settle.resolve(info);
    this.#socket.close(WebSocketClose.normal, "").then(() => this.#socket.abort());
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#socket.receive();
        if (message === null) break;
        // Behind the end only the socket's own end is still of interest.
        if (!this.#over) this.#decode(message);
        else if ((this.#scrap -= message.length) < 0) this.#socket.abort();
      }
      this.#lose(lost("the connection ended without a word"));
    } catch (cause) {
      this.#lose(cause);
    }
  }

  #decode(message: Uint8Array): void {
    this.#keepalive.received();
    try {
      decodeFrames(message, this);
    } catch (cause) {
      this.#lose(toTunnelError(cause, "read from the peer", "internal"));
    }
  }

  #check(): void {
    if (!this.#greeted) throw violation("a frame came before SETTINGS");
  }

  #ask(): void {
    const value = this.#roundTrip.start();
    if (value !== undefined) this.#writer.ping(value);
  }

  /** Ends everything on the session; false when that has happened before. */
  #end(error: TunnelError): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#keepalive.stop();
    this.#streams.end(error);
    this.#greeting.reject(error);
    return true;
  }

  #lose(cause: unknown): void {
    const error = toTunnelError(cause, "keep the session", "reset");
    if (!this.#end(error)) return;
    this.#settle.reject(error);
    if (error.code !== "protocol") return this.#socket.abort();
    this.#leave({ code: CloseCode.protocol, reason: error.parts.state }, WebSocketClose.protocol);
  }

  /** Says goodbye, for as long as the peer listens. */
  async #leave(info: CloseInfo, code: number): Promise<void> {
    if (info.code === CloseCode.protocol || info.code === CloseCode.limit) this.#scrap = MAX_SCRAP;
    const bound = { action: "close the session", timeout: CLOSE_TIMEOUT };
    try {
      await withDeadline(bound, async () => {
        await this.#writer.close(info);
        await this.#socket.close(code, "");
      });
    } catch {
      // The peer is gone or does not read: it learns from the socket's end.
    } finally {
      this.#socket.abort();
    }
  }
}

function closedError({ code, reason }: CloseInfo): TunnelError {
  const state = `it was closed with code ${code}${reason ? `: ${reason}` : ""}`;
  return new TunnelError("closed", { action: "use the session", state });
}

function lost(state: string): TunnelError {
  return new TunnelError("reset", { action: "keep the session", state });
}
