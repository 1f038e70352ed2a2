/**
 * A channel: what service and device see of each other over one dialled stream. It adds to the
 * stream what a chain of transports cannot give: an end that proves that everything arrived, a reset
 * that stays a reset, and credit from reader to writer, so that the path between them always drains
 * and nothing on the way holds the bytes of a slow reader.
 */

import type { ByteReader } from "../bytes.ts";
import { withDeadline } from "../deadline.ts";
import type { Duplex } from "../duplex.ts";
import { toTunnelError, TunnelError } from "../errors.ts";
import { sharedBudget, type WindowBudget } from "./budget.ts";
import { ReceiveSide } from "./receive.ts";
import {
  decodeAck,
  decodeFin,
  decodeReset,
  encodeAck,
  encodeData,
  encodeFin,
  encodeReset,
  MAX_DATA,
  type Record,
  RecordParser,
  RecordType,
} from "./record.ts";

/** Bytes that either side may send before the first ACK; both ends know it. */
export const INITIAL_WINDOW = 512 * 1024;
/** Bytes that a receive window grows to by default. */
export const DEFAULT_MAX_WINDOW = 16 * 1024 * 1024;
/** Milliseconds that the stream below may take to end once the channel has. */
const LINGER = 5_000;

export interface ChannelOptions {
  /**
   * The largest receive window, bytes; also the most that this end holds for a slow reader.
   * 524,288 and up; default 16 MiB.
   */
  maxWindow?: number;
  /** What this channel and others may grow by together; by default that of the process, 32 MiB. */
  budget?: WindowBudget;
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
   * Fulfils when both directions have ended and each end knows that the other has everything;
   * rejects with a {@linkcode TunnelError} when the channel was reset or its path was lost.
   */
  readonly closed: Promise<void>;
  readonly #source: ByteReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #receive: ReceiveSide;
  readonly #settle = Promise.withResolvers<void>();
  #sent = 0;
  /** Bytes that the peer allows this end to send in all. */
  #limit = INITIAL_WINDOW;
  #credit = Promise.withResolvers<void>();
  #finSent = false;
  #finAcked = false;
  #acking?: Promise<void>;
  #ackDue = false;
  #failure?: TunnelError;

  /**
   * @param source what the dialled stream still has to give
   * @param writable its other direction
   */
  constructor(
    source: ByteReader,
    writable: WritableStream<Uint8Array>,
    options: ChannelOptions = {},
  ) {
    this.#source = source;
    this.#writer = writable.getWriter();
    // What the writer rejects with also rejects the write that met it.
    this.#writer.closed.catch(() => {});
    this.#receive = new ReceiveSide(
      INITIAL_WINDOW,
      options.maxWindow ?? DEFAULT_MAX_WINDOW,
      options.budget ?? sharedBudget,
      () => this.#acknowledge(),
    );
    this.closed = this.#settle.promise;
    const release = () => this.#receive.release();
    this.closed.then(release, release);
    this.#run();
  }

  read(): Promise<Uint8Array | null> {
    return this.#receive.read();
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.#failure) throw this.#failure;
      if (this.#finSent) throw misuse("its outgoing direction is closed");
      const room = this.#limit - this.#sent;
      if (room === 0) {
        await this.#credit.promise;
        continue;
      }
      const length = Math.min(bytes.length - at, room, MAX_DATA);
      this.#sent += length;
      await this.#transmit(encodeData(bytes.subarray(at, at + length), length === room));
      at += length;
    }
  }

  async closeWrite(): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#finSent) return;
    this.#finSent = true;
    await this.#transmit(encodeFin(this.#sent));
  }

  reset(error: TunnelError): void {
    if (this.#failure || this.#ended) return;
    const code = error.code === "protocol" ? ResetCode.protocol : ResetCode.application;
    // Best effort: where the path is gone too, the missing FIN tells the same.
    this.#writer.write(encodeReset(code, error.parts.state)).catch(() => {});
    this.#fail(error);
  }

  get #ended(): boolean {
    return this.#finAcked && this.#receive.ended;
  }

  async #run(): Promise<void> {
    const parser = new RecordParser();
    try {
      while (!this.#ended) {
        const chunk = await this.#source.read();
        if (chunk === null) throw lost("the stream under it ended before it did");
        if (this.#failure) return;
        for (const record of parser.push(chunk)) this.#handle(record);
      }
    } catch (cause) {
      const error = toTunnelError(cause, "use the channel", "reset");
      if (error.code === "protocol") this.reset(error);
      return this.#fail(error);
    }
    // The ACK of the peer's FIN must be out before the stream below ends.
    await this.#acking;
    await this.#release();
    this.#settle.resolve();
  }

  #handle(record: Record): void {
    switch (record.type) {
      case RecordType.data:
        return this.#receive.push(record.payload, record.blocked);
      case RecordType.fin:
        return this.#receive.end(decodeFin(record.payload));
      case RecordType.ack:
        return this.#acknowledged(decodeAck(record.payload));
      case RecordType.reset: {
        const { reason } = decodeReset(record.payload);
        throw new TunnelError("reset", {
          action: "use the channel",
          state: `the other end reset it${reason ? `: ${reason}` : ""}`,
        });
      }
    }
  }

  #acknowledged({ received, limit }: { received: number; limit: number }): void {
    const finished = this.#finSent ? this.#sent + 1 : this.#sent;
    if (received > finished || limit < this.#limit) {
      throw new TunnelError("protocol", {
        action: "use the channel",
        state: "the other end acknowledged what was not sent, or took credit back",
      });
    }
    this.#finAcked = this.#finSent && received === finished;
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.#credit.resolve();
    this.#credit = Promise.withResolvers();
  }

  /** Sends what has been received and may be sent; one ACK is under way at most, the newest wins. */
  #acknowledge(): void {
    this.#ackDue = true;
    this.#acking ??= this.#sendAcks();
  }

  async #sendAcks(): Promise<void> {
    try {
      while (this.#ackDue && !this.#failure) {
        this.#ackDue = false;
        const { position, limit } = this.#receive;
        await this.#transmit(encodeAck(position, limit));
      }
    } catch {
      // The failed write has failed the channel, which is how everyone else learns of it.
    } finally {
      this.#acking = undefined;
    }
  }

  async #transmit(record: Uint8Array): Promise<void> {
    try {
      await this.#writer.write(record);
    } catch (cause) {
      if (!this.#failure) this.#fail(lost("the stream under it failed", cause));
    }
    if (this.#failure) throw this.#failure;
  }

  #fail(error: TunnelError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#receive.fail(error);
    this.#credit.resolve();
    // Closed and not aborted: an abort would overtake the RESET that may be under way.
    this.#writer.close().catch(() => {});
    this.#source.cancel(error);
    this.#settle.reject(error);
  }

  /** Ends the stream below, in order, so that neither relay nor peer keeps anything of it. */
  async #release(): Promise<void> {
    try {
      await withDeadline({ action: "end the stream", timeout: LINGER }, async () => {
        await this.#writer.close();
        while (await this.#source.read() !== null);
      });
    } catch {
      // Both ends have said and heard everything: how the stream ends makes no difference any more.
      this.#source.cancel();
    }
  }
}

function lost(state: string, cause?: unknown): TunnelError {
  return new TunnelError("reset", { action: "use the channel", state, cause });
}

function misuse(state: string): TunnelError {
  return new TunnelError("usage", { action: "write to the channel", state });
}
