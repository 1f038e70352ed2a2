/** The reading direction of a stream: holds what came, and grants credit as it is taken. */

import { TunnelError } from "../../../core/errors.ts";
import type { Batch } from "./batch.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import { Flag, FrameType, violation } from "./frame.ts";
import { openFirst } from "./send_half.ts";
import type { StreamPort } from "./stream.ts";
import { isCreditDue, WindowTuner } from "./window_tuner.ts";

/** Bytes that the peer may send on a stream at first. */
export const INITIAL_WINDOW = 256 * 1024;

export class ReceiveHalf {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #port: StreamPort;
  readonly #queue = new ChunkQueue();
  #controller!: ReadableByteStreamController;
  /** A reader waits, and the queue is empty. */
  #wanted = false;
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
    // A stream of bytes, so that a reader may bring its own memory and none is allocated for it.
    this.readable = new ReadableStream({
      type: "bytes",
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#pull(),
      cancel: () => this.#cancel(),
    }, { highWaterMark: 0 }) as ReadableStream<Uint8Array>;
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

  /** The peer's writer gave up. */
  reset(code: number): void {
    if (this.#ended) throw violation("RESET came behind the end of its stream");
    this.#ended = true;
    const state = `the peer aborted it${code ? ` (code ${code})` : ""}`;
    if (!this.#cancelled) {
      this.#controller.error(new TunnelError("reset", { action: "read from the stream", state }));
    }
    this.#finish();
  }

  /** The session has ended, and this with it. */
  fail(error: TunnelError): void {
    if (this.#done) return;
    this.#done = true;
    this.#queue.clear();
    if (!this.#cancelled) this.#controller.error(error);
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

  #pull(): void {
    if (this.#queue.empty) {
      this.#wanted = true;
      return;
    }
    this.#give();
    this.#closeWhenRead();
  }

  #deliver(payload: Uint8Array): void {
    const request = this.#wanted ? this.#controller.byobRequest : null;
    const view = request?.view as Uint8Array | undefined;
    if (!request || !view || view.length < payload.length) {
      this.#queue.push(payload);
      if (this.#wanted) this.#give();
      return;
    }
    this.#wanted = false;
    view.set(payload);
    this.#took(payload.length);
    request.respond(payload.length);
  }

  /** Hands what is queued to the reader that waits. */
  #give(): void {
    this.#wanted = false;
    const request = this.#controller.byobRequest;
    if (request) {
      const length = this.#queue.take(request.view as Uint8Array);
      this.#took(length);
      return request.respond(length);
    }
    const bytes = new Uint8Array(this.#queue.next);
    this.#queue.take(bytes);
    this.#took(bytes.length);
    this.#controller.enqueue(bytes);
  }

  #took(bytes: number): void {
    this.#taken += bytes;
    if (!this.#ended && isCreditDue(this.#window, this.#taken)) this.#port.scheduleControl(this);
  }

  #closeWhenRead(): void {
    if (!this.#ended || this.#done || !this.#queue.empty) return;
    if (!this.#cancelled) {
      this.#controller.close();
      // A reader that brought its memory gets it back empty.
      this.#controller.byobRequest?.respond(0);
    }
    this.#finish();
  }

  #cancel(): void {
    this.#cancelled = true;
    this.#queue.clear();
    if (this.#ended) return this.#finish();
    this.#stopOwed = true;
    this.#port.scheduleControl(this);
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
