/** The writing direction of a stream: takes bytes from a writer as credit and socket allow. */

import { TunnelError } from "../errors.ts";
import type { Batch } from "./batch.ts";
import { Flag, FrameType, violation } from "./frame.ts";
import type { StreamPort } from "./stream.ts";

/** Bytes of credit that a peer may grant at most. */
export const MAX_CREDIT = 2 ** 31;

interface Web {
  readonly writable: WritableStream<Uint8Array>;
  readonly controller: WritableStreamDefaultController;
}

export class SendHalf {
  readonly #port: StreamPort;
  #web?: Web;
  #credit: number;
  /** What is being written, without the part that has gone out. */
  #chunk: Uint8Array | undefined;
  /** Settles the write or the close that is under way. */
  #pending: PromiseWithResolvers<void> | undefined;
  #ending = false;
  #resetCode: number | undefined;
  #error?: TunnelError;
  #done = false;

  constructor(port: StreamPort, credit: number) {
    this.#port = port;
    this.#credit = credit;
  }

  /** The same as a web stream; made when it is first asked for. */
  get writable(): WritableStream<Uint8Array> {
    return (this.#web ??= this.#makeWeb()).writable;
  }

  /** True when no frame of this direction follows any more. */
  get done(): boolean {
    return this.#done;
  }

  /** True when there is something that may go out now. */
  get ready(): boolean {
    if (this.#done || this.#resetCode !== undefined) return false;
    return this.#chunk ? this.#credit > 0 : this.#ending;
  }

  /** {@linkcode DirectStream.write} */
  write(chunk: Uint8Array): Promise<void> {
    if (this.#error) return Promise.reject(this.#error);
    if (!(chunk instanceof Uint8Array) || this.#ending || this.#pending) {
      const state = "what was written is not a Uint8Array, or not in turn";
      const error = new TunnelError("usage", { action: "write to the stream", state });
      this.#reset(0, error);
      return Promise.reject(error);
    }
    if (chunk.length === 0) return Promise.resolve();
    this.#chunk = chunk;
    return this.#start();
  }

  /** {@linkcode DirectStream.close} */
  close(): Promise<void> {
    if (this.#error) return Promise.reject(this.#error);
    if (this.#ending) return Promise.resolve();
    this.#ending = true;
    return this.#start();
  }

  /** {@linkcode DirectStream.abort} */
  abort(): void {
    this.#reset(0, aborted());
  }

  /** Adds one DATA frame. Call it only when {@linkcode SendHalf.ready}. */
  emit(batch: Batch): void {
    const chunk = this.#chunk;
    const length = chunk ? Math.min(share(chunk.length, batch.room), this.#credit) : 0;
    this.#credit -= length;
    let flags = chunk ? 0 : Flag.end;
    if (chunk && this.#credit === 0) flags |= Flag.blocked;
    if (!this.#port.announced) flags |= Flag.open;
    const id = this.#port.announce();
    if (!chunk) {
      batch.data(id, flags, EMPTY);
      this.#finish();
    } else if (length < chunk.length) {
      batch.data(id, flags, chunk.subarray(0, length));
      this.#chunk = chunk.subarray(length);
      return;
    } else {
      batch.data(id, flags, chunk);
      this.#chunk = undefined;
    }
    this.#settle();
  }

  /** Adds a RESET, if one is owed. */
  emitControl(batch: Batch): void {
    if (this.#resetCode === undefined || this.#done) return;
    batch.control(FrameType.reset, openFirst(batch, this.#port), this.#resetCode);
    this.#finish();
  }

  /** The peer takes more. */
  addCredit(bytes: number): void {
    // It may have crossed the end, and nobody uses it any more.
    if (this.#done) return;
    this.#credit += bytes;
    if (this.#credit > MAX_CREDIT) throw violation("credit was granted beyond 2^31 bytes");
    if (this.ready) this.#port.scheduleData(this);
  }

  /** The peer's reader has gone. */
  stop(code: number): void {
    if (this.#done) return;
    const error = stopped(code);
    this.#web?.controller.error(error);
    this.#reset(code, error);
  }

  /** The session has ended, and this with it. */
  fail(error: TunnelError): void {
    if (this.#done) return;
    this.#done = true;
    this.#chunk = undefined;
    this.#error ??= error;
    this.#web?.controller.error(error);
    this.#settle(error);
  }

  #start(): Promise<void> {
    this.#pending = Promise.withResolvers();
    if (this.ready) this.#port.scheduleData(this);
    return this.#pending.promise;
  }

  #reset(code: number, error: TunnelError): void {
    if (this.#done || this.#resetCode !== undefined) return;
    this.#resetCode = code;
    this.#chunk = undefined;
    this.#error ??= error;
    this.#settle(error);
    this.#port.scheduleControl(this);
  }

  #makeWeb(): Web {
    let controller!: WritableStreamDefaultController;
    const writable = new WritableStream<Uint8Array>({
      start: (made) => {
        controller = made;
        // Not the sink's `abort`: that one waits for the write under way, which may never end.
        made.signal.addEventListener("abort", () => this.abort(), { once: true });
      },
      write: (chunk) => this.write(chunk),
      close: () => this.close(),
    });
    if (this.#error) controller.error(this.#error);
    return { writable, controller };
  }

  #finish(): void {
    this.#done = true;
    this.#port.halfDone();
  }

  #settle(error?: TunnelError): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (error) pending?.reject(error);
    else pending?.resolve();
  }
}

const EMPTY = new Uint8Array(0);

/** What to send of `length` bytes when `room` fit: equal parts, for a small rest costs as much. */
function share(length: number, room: number): number {
  return Math.ceil(length / Math.ceil(length / room));
}

/** The stream's id, after making sure that the peer has heard of it. */
export function openFirst(batch: Batch, port: StreamPort): number {
  if (port.announced) return port.announce();
  const id = port.announce();
  batch.data(id, Flag.open, EMPTY);
  return id;
}

function aborted(): TunnelError {
  return new TunnelError("aborted", { action: "write to the stream", state: "it was aborted" });
}

function stopped(code: number): TunnelError {
  const state = `the peer stopped reading${code ? ` (code ${code})` : ""}`;
  return new TunnelError("reset", { action: "write to the stream", state });
}
