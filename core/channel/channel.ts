/**
 * A channel: what service and device see of each other. It outlives the streams under it: attached
 * to a path it sends, without one it waits, and on the next it goes on where the peer stopped
 * receiving. It adds what a chain of transports cannot give: an end that proves that everything
 * arrived, a reset that stays a reset, and credit from reader to writer, so that the path always
 * drains and nothing on the way holds the bytes of a slow reader.
 */

import type { Duplex } from "../duplex.ts";
import { toTunnelError, TunnelError } from "../errors.ts";
import { sharedBudget, type WindowBudget } from "./budget.ts";
import { type Companion, type Company, sharedCompany } from "./company.ts";
import type { Path } from "./path.ts";
import { MAX_UNCONFIRMED, ReceiveSide } from "./receive.ts";
import {
  dataHeader,
  decodeRecord,
  encodeAck,
  encodeDone,
  encodeFin,
  encodeReset,
  type Record,
  RecordType,
} from "./record.ts";
import { DEFAULT_MAX_REPLAY, SendSide } from "./send.ts";

/** Bytes that either side may send before the first ACK; both ends know it. */
export const INITIAL_WINDOW = 256 * 1024;
/** Bytes that a receive window grows to by default. */
export const DEFAULT_MAX_WINDOW = 16 * 1024 * 1024;

/** Milliseconds that an ACK which nobody waits for waits for company. */
const PATIENCE = 5;
/** Bytes of data that share a write with other records. */
const MAX_SHARED = 16 * 1024;

export interface ChannelOptions {
  /**
   * The largest receive window, bytes; also the most that this end holds for a slow reader.
   * 262,144 and up; default 16 MiB.
   */
  maxWindow?: number;
  /**
   * Bytes that this end holds at most until the peer has received them; default 16 MiB. With less
   * than a path's bandwidth times its round trip it is what limits the channel. 1,048,576 and up:
   * with less it might wait for ever for a peer that is yet to confirm what it has.
   */
  maxReplay?: number;
  /** What this channel and others may grow by together; by default that of the process, 32 MiB. */
  budget?: WindowBudget;
  /** The channels that this one makes room for; by default all of the process. */
  company?: Company;
  /**
   * Has this end say at once that it is there. The service does: a device keeps no channel for a
   * service that it has not heard, because the dial may have been given up.
   */
  announce?: boolean;
  /** Called when the channel has lost its path and could use another. */
  onDetached?: (cause: TunnelError) => void;
}

/** Why a channel was reset (docs/PROTOCOL.md, "Records"). */
export const ResetCode = {
  unspecified: 0,
  /** The application's own connection was reset or failed. */
  application: 1,
  /** The process on that side is ending. */
  shutdown: 2,
  /** The peer broke the record layer's rules. */
  protocol: 3,
} as const;

/** A reliable, ordered, bidirectional byte channel with half-close. */
export class Channel implements Duplex {
  /**
   * Fulfils when both directions have ended and this end knows that the peer has everything;
   * rejects with a {@linkcode TunnelError} when the channel was reset or given up.
   */
  readonly closed: Promise<void>;
  /** Fulfils when the peer needs no path to this end any more: it knows how the channel ended. */
  readonly released: Promise<void>;
  readonly #settle = Promise.withResolvers<void>();
  readonly #release = Promise.withResolvers<void>();
  readonly #companion: Companion;
  readonly #receive: ReceiveSide;
  readonly #send: SendSide;
  readonly #onDetached: (cause: TunnelError) => void;
  readonly #announce: boolean;
  #path?: Path;
  /** Resolved when the sending loop may have something to do. */
  #work = Promise.withResolvers<void>();
  #ackDue = false;
  /** An ACK that is due may wait for company until this fires. */
  #patience?: ReturnType<typeof setTimeout>;
  /** What is to be said last: a RESET, or a DONE in answer to the peer's last word. */
  #lastDue?: Uint8Array;
  #lastSent = false;
  /** The peer has said its last word. */
  #heardLast = false;
  #heard = false;
  #failure?: TunnelError;
  #abandoned?: TunnelError;

  constructor(options: ChannelOptions = {}) {
    this.#companion = (options.company ?? sharedCompany).join();
    this.#receive = new ReceiveSide({
      window: INITIAL_WINDOW,
      maxWindow: options.maxWindow ?? DEFAULT_MAX_WINDOW,
      budget: options.budget ?? sharedBudget,
      companion: this.#companion,
      onGrant: () => this.#acknowledge(),
    });
    const maxReplay = Math.max(options.maxReplay ?? DEFAULT_MAX_REPLAY, 2 * MAX_UNCONFIRMED);
    this.#send = new SendSide(INITIAL_WINDOW, maxReplay, () => this.#work.resolve());
    this.#announce = options.announce ?? false;
    this.#onDetached = options.onDetached ?? (() => {});
    this.closed = this.#settle.promise;
    this.released = this.#release.promise;
    const free = () => {
      this.#receive.release();
      this.#companion.leave();
    };
    this.closed.then(free, free);
  }

  /** The position up to which this end has received, its end counting as one. */
  get received(): number {
    return this.#receive.position;
  }

  /** Bytes taken and received so far. */
  get carried(): number {
    return this.#send.total + this.#receive.position;
  }

  /** True once the peer has said anything: it knows of the channel. */
  get heard(): boolean {
    return this.#heard;
  }

  /** True while the channel waits for a path. */
  get isDetached(): boolean {
    return this.#path === undefined;
  }

  /** The path that the channel is on, if any. */
  get path(): Path | undefined {
    return this.#path;
  }

  /**
   * Goes on over this path; the one before is given up.
   *
   * @param received the peer's {@linkcode Channel.received}
   */
  attach(path: Path, received: number): void {
    // It may have been given up while the path was made: the peer must not wait on it.
    if (this.#abandoned) return path.drop(this.#abandoned);
    this.#path?.close();
    this.#path = path;
    this.#receive.moved();
    this.#lastSent = false;
    // An ACK, and the credit it granted, may have been lost with the path before.
    if (this.#announce || received > 0 || this.received > 0) this.#acknowledge();
    try {
      if (!this.#failure) this.#send.rewind(received);
    } catch (cause) {
      this.reset(toTunnelError(cause, "attach the channel", "protocol"));
    }
    this.#finish();
    this.#listen(path);
    this.#speak(path);
  }

  read(): Promise<Uint8Array | null> {
    return this.#receive.read();
  }

  /** Settles when the bytes are taken; they may not have been sent yet. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#send.write(bytes);
  }

  closeWrite(): Promise<void> {
    this.#send.end();
    return Promise.resolve();
  }

  reset(error: TunnelError): void {
    if (this.#failure || this.#complete) return;
    const code = error.code === "protocol" ? ResetCode.protocol : ResetCode.application;
    this.#lastDue = encodeReset(code, error.parts.state);
    this.#fail(error);
  }

  /** Ends the channel at once: the peer is not told, because it cannot be or knows. */
  abandon(error: TunnelError): void {
    this.#abandoned ??= error;
    if (!this.#complete) this.#fail(error);
    const path = this.#path;
    this.#path = undefined;
    this.#work.resolve();
    path?.drop(error);
    this.#release.resolve();
  }

  /** Gives the path up, as if it had been lost: there is a better way to this end. */
  detach(cause: TunnelError): void {
    if (this.#path) this.#lose(this.#path, cause);
  }

  get #complete(): boolean {
    return this.#send.finished && this.#receive.ended;
  }

  /** Reads a path until it is lost or given up. */
  async #listen(path: Path): Promise<void> {
    try {
      await path.receive((record) => this.#handle(path, record));
    } catch (cause) {
      this.#lose(path, toTunnelError(cause, "use the channel", "reset"));
    }
  }

  /** Writes to a path until it is lost, given up, or all is said. */
  async #speak(path: Path): Promise<void> {
    try {
      while (this.#path === path) {
        // Before looking: what comes up meanwhile must not be missed.
        this.#work = Promise.withResolvers();
        const sending = this.#sendNext(path);
        await (sending ?? this.#work.promise);
      }
    } catch (cause) {
      this.#lose(path, toTunnelError(cause, "use the channel", "reset"));
    }
  }

  /** Sends what is due, as much of it in one write as is small; undefined when nothing is. */
  #sendNext(path: Path): Promise<void> | undefined {
    const records: (readonly Uint8Array[])[] = [];
    if (this.#ackDue && !this.#failure && !this.#mayWait) {
      this.#ackDue = false;
      this.#hurry();
      records.push([encodeAck(this.received, this.#receive.limit)]);
    }
    if (this.#lastDue) {
      if (this.#lastSent) return undefined;
      this.#lastSent = true;
      return path.sendAll([...records, [this.#lastDue]]).then(() => this.#leave(path));
    }
    // A full record fills the memory and the frame that it is sent in by itself.
    if (records.length === 0 || this.#send.sendable <= MAX_SHARED) {
      const next = this.#send.next();
      if (next) records.push([dataHeader(next.position, next.blocked), ...next.parts]);
      if (next?.blocked) this.#companion.filled();
      const isShort = !next || next.length <= MAX_SHARED;
      if (isShort && this.#send.takeEnd()) records.push([encodeFin(this.#send.total)]);
    }
    return records.length > 0 ? path.sendAll(records) : undefined;
  }

  #handle(path: Path, bytes: Uint8Array): void {
    if (this.#path !== path) return;
    this.#heard = true;
    try {
      this.#take(path, decodeRecord(bytes));
    } catch (cause) {
      this.reset(toTunnelError(cause, "use the channel", "protocol"));
    }
  }

  #take(path: Path, record: Record): void {
    if (record.type === RecordType.done || record.type === RecordType.reset) {
      if (record.type === RecordType.reset) this.#resetByPeer(record.reason);
      else if (!this.#complete && !this.#failure) throw early();
      this.#heardLast = true;
      return this.#leave(path);
    }
    if (this.#failure) return;
    switch (record.type) {
      case RecordType.data:
        this.#receive.push(record.position, record.data, record.blocked);
        break;
      case RecordType.fin:
        this.#receive.end(record.total);
        this.#acknowledgeSoon();
        break;
      case RecordType.ack:
        this.#send.acknowledged(record.received, record.limit);
    }
    this.#finish();
  }

  #resetByPeer(reason: string): void {
    const state = `the other end reset it${reason ? `: ${reason}` : ""}`;
    if (!this.#complete) this.#fail(new TunnelError("reset", { action: "use the channel", state }));
    this.#lastDue = encodeDone();
    this.#lastSent = false;
    this.#work.resolve();
  }

  /** Once both directions have ended: settles, and has the peer told. */
  #finish(): void {
    if (!this.#complete || this.#lastDue) return;
    this.#lastDue = encodeDone();
    this.#work.resolve();
    this.#settle.resolve();
  }

  /** Ends the path when both ends have said their last word on it. */
  #leave(path: Path): void {
    if (this.#path !== path || !this.#heardLast || !this.#lastSent) return;
    this.#path = undefined;
    this.#hurry();
    this.#work.resolve();
    this.#release.resolve();
    path.close();
  }

  #acknowledge(): void {
    // Nothing follows a last word: who has heard it may have gone.
    if (this.#lastSent) return;
    this.#ackDue = true;
    this.#hurry();
  }

  /** For an ACK that nobody waits for: what is said within a moment shares a write with it. */
  #acknowledgeSoon(): void {
    if (this.#lastSent) return;
    if (!this.#ackDue) this.#patience ??= setTimeout(() => this.#hurry(), PATIENCE);
    this.#ackDue = true;
    this.#work.resolve();
  }

  /** True while there is nothing to say but an ACK that is not urgent. */
  get #mayWait(): boolean {
    if (this.#patience === undefined || this.#lastDue) return false;
    return this.#send.sendable === 0 && !this.#send.endDue;
  }

  #hurry(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#work.resolve();
  }

  #lose(path: Path, error: TunnelError): void {
    if (this.#path !== path) return;
    this.#path = undefined;
    this.#work.resolve();
    path.drop(error);
    this.#onDetached(error);
  }

  #fail(error: TunnelError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#hurry();
    this.#receive.fail(error);
    this.#send.fail(error);
    this.#work.resolve();
    this.#settle.reject(error);
  }
}

function early(): TunnelError {
  return new TunnelError("protocol", {
    action: "use the channel",
    state: "the other end broke the rules: it was done before everything had arrived",
  });
}
