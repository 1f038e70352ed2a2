/** The reading direction of a stream: holds what came, and grants credit as it is taken. */

import { TunnelError } from "../errors.ts";
import type { Batch } from "./batch.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import { Flag, FrameType, violation } from "./frame.ts";
import { openFirst } from "./send_half.ts";
import type { StreamPort } from "./stream.ts";
import { WebReadable } from "./web_readable.ts";
import { isCreditDue, WindowTuner } from "./window_tuner.ts";

/** Bytes that the peer may send on a stream at first. */
export const INITIAL_WINDOW = 256 * 1024;

/** A read that waits for bytes. */
interface Waiting extends PromiseWithResolvers<number | null> {
  readonly target: Uint8Array;
}

export class ReceiveHalf {
  readonly #port: StreamPort;
  readonly #queue = new ChunkQueue();
  /** The queue is empty, and nothing has ended. */
  #waiting?: Waiting;
  #error?: TunnelError;
  #web?: WebReadable;
  #window = INITIAL_WINDOW;
  /** Bytes that the peer may still send. */
  #allowed = INITIAL_WINDOW;
  /** Bytes that the reader took and the peer was not told of yet. */
  #taken = 0;
  readonly #tuner = new WindowTuner(performance.now());
  /** The peer has sent its last frame of this direction. */
  #ended = false;
  #cancelled = false;
  #stopOwed = false;
  #done = false;

  constructor(port: StreamPort) {
    this.#port = port;
  }

  /** The same as a web stream; made when it is first asked for. */
  get readable(): ReadableStream<Uint8Array> {
    return (this.#web ??= this.#makeWeb()).readable;
  }

  /** True when nothing comes any more and nothing is left to read. */
  get done(): boolean {
    return this.#done;
  }

  /** Takes a DATA frame. */
  receive(flags: number, payload: Uint8Array): void {
    if (this.#ended) throw violation("DATA came behind the end of its stream");
    if (payload.length > this.#allowed) throw violation("DATA came beyond the credit");
    this.#allowed -= payload.length;
    if (flags & Flag.blocked) this.#tuner.blocked();
    if (payload.length > 0 && !this.#cancelled) this.#deliver(payload);
    if (flags & Flag.end) {
      this.#ended = true;
      this.#closeWhenRead();
    }
  }

  /** {@linkcode DirectStream.read} */
  read(target: Uint8Array): Promise<number | null> {
    if (!this.#queue.empty) {
      const length = this.#queue.take(target);
      this.#took(length);
      this.#closeWhenRead();
      return Promise.resolve(length);
    }
    if (this.#error) return Promise.reject(this.#error);
    if (this.#ended || this.#cancelled || this.#done) return Promise.resolve(null);
    this.#waiting = { target, ...Promise.withResolvers<number | null>() };
    return this.#waiting.promise;
  }

  /** {@linkcode DirectStream.cancel} */
  cancel(): void {
    if (this.#cancelled || this.#done) return;
    this.#cancelled = true;
    this.#queue.clear();
    this.#wake(null);
    if (this.#ended) return this.#finish();
    this.#stopOwed = true;
    this.#port.scheduleControl(this);
  }

  /** The peer's writer gave up. */
  reset(code: number): void {
    if (this.#ended) throw violation("RESET came behind the end of its stream");
    this.#ended = true;
    const state = `the peer aborted it${code ? ` (code ${code})` : ""}`;
    this.#fail(new TunnelError("reset", { action: "read from the stream", state }));
    this.#finish();
  }

  /** The session has ended, and this with it. */
  fail(error: TunnelError): void {
    if (this.#done) return;
    this.#done = true;
    this.#fail(error);
  }

  /** Adds a STOP or a CREDIT, if one is owed. */
  emitControl(batch: Batch): void {
    if (this.#ended || this.#done) return;
    if (this.#cancelled) {
      if (!this.#stopOwed) return;
      this.#stopOwed = false;
      batch.control(FrameType.stop, openFirst(batch, this.#port), 0);
    } else if (this.#taken > 0) {
      const credit = this.#taken + this.#growth();
      this.#taken = 0;
      this.#allowed += credit;
      batch.control(FrameType.credit, this.#port.announce(), credit);
    }
  }

  #deliver(payload: Uint8Array): void {
    const waiting = this.#waiting;
    if (!waiting) return this.#queue.push(payload);
    const length = Math.min(payload.length, waiting.target.length);
    waiting.target.set(payload.subarray(0, length));
    if (length < payload.length) this.#queue.push(payload.subarray(length));
    this.#took(length);
    this.#wake(length);
  }

  #took(bytes: number): void {
    this.#taken += bytes;
    if (!this.#ended && isCreditDue(this.#window, this.#taken)) this.#port.scheduleControl(this);
  }

  #wake(count: number | null): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(count);
  }

  #closeWhenRead(): void {
    if (!this.#ended || this.#done || !this.#queue.empty) return;
    this.#wake(null);
    if (!this.#cancelled) this.#web?.close();
    this.#finish();
  }

  #fail(error: TunnelError): void {
    this.#queue.clear();
    if (this.#cancelled) return;
    this.#error = error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
    this.#web?.fail(error);
  }

  #makeWeb(): WebReadable {
    const web = new WebReadable({
      next: () => this.#queue.next,
      read: (target) => this.read(target),
      cancel: () => this.cancel(),
    });
    if (this.#error) web.fail(this.#error);
    else if (this.#done) web.close();
    return web;
  }

  #growth(): number {
    const roundTrip = this.#port.roundTrip();
    const wanted = this.#tuner.growth(this.#window, this.#taken, roundTrip, performance.now());
    const growth = wanted > 0 ? this.#port.takeGrowth(wanted) : 0;
    this.#window += growth;
    return growth;
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#queue.clear();
    this.#port.giveGrowth(this.#window - INITIAL_WINDOW);
    this.#port.halfDone();
  }
}
