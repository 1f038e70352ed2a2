/** One stream of a multiplexed session: its two directions, and what they need of the session. */

import type { TunnelError } from "../errors.ts";
import type { DirectStream, Stream } from "../transport.ts";
import type { Batch } from "./batch.ts";
import { ReceiveHalf } from "./receive_half.ts";
import { SendHalf } from "./send_half.ts";

/** Something that may owe control frames. */
export interface ControlSource {
  emitControl(batch: Batch): void;
}

/** What a stream needs of its session. */
export interface StreamHost {
  scheduleData(half: SendHalf): void;
  scheduleControl(source: ControlSource): void;
  /** The next id for a stream of this side's, whose first frame is about to be written. */
  announce(stream: MuxStream): number;
  /** Nothing more comes or goes on this stream. */
  release(stream: MuxStream): void;
  /** The shortest round trip seen, in milliseconds. */
  roundTrip(): number;
  /** Grants up to this many bytes of window beyond the initial one, out of the session's share. */
  takeGrowth(bytes: number): number;
  giveGrowth(bytes: number): void;
}

/** What a direction needs of its stream. */
export interface StreamPort extends Omit<StreamHost, "announce" | "release"> {
  /** True once the peer was told of the stream. */
  readonly announced: boolean;
  /** The stream's id; takes one if it has none. */
  announce(): number;
  /** One direction is finished. */
  halfDone(): void;
}

export class MuxStream implements Stream, DirectStream, StreamPort {
  readonly send: SendHalf;
  readonly receive: ReceiveHalf;
  readonly #host: StreamHost;
  #id: number;
  #released = false;

  /** `id` 0 stands for a stream of this side's that the peer has not heard of yet. */
  constructor(host: StreamHost, id: number, credit: number) {
    this.#host = host;
    this.#id = id;
    this.send = new SendHalf(this, credit);
    this.receive = new ReceiveHalf(this);
  }

  get id(): number {
    return this.#id;
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.receive.readable;
  }

  get direct(): DirectStream {
    return this;
  }

  read(target: Uint8Array): Promise<number | null> {
    return this.receive.read(target);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.send.write(bytes);
  }

  close(): Promise<void> {
    return this.send.close();
  }

  abort(): void {
    this.send.abort();
  }

  cancel(): void {
    this.receive.cancel();
  }

  get writable(): WritableStream<Uint8Array> {
    return this.send.writable;
  }

  get announced(): boolean {
    return this.#id !== 0;
  }

  announce(): number {
    if (this.#id === 0) this.#id = this.#host.announce(this);
    return this.#id;
  }

  halfDone(): void {
    if (this.#released || !this.send.done || !this.receive.done) return;
    this.#released = true;
    this.#host.release(this);
  }

  /** The session has ended, and this with it. */
  fail(error: TunnelError): void {
    this.send.fail(error);
    this.receive.fail(error);
  }

  scheduleData(half: SendHalf): void {
    this.#host.scheduleData(half);
  }

  scheduleControl(source: ControlSource): void {
    this.#host.scheduleControl(source);
  }

  roundTrip(): number {
    return this.#host.roundTrip();
  }

  takeGrowth(bytes: number): number {
    return this.#host.takeGrowth(bytes);
  }

  giveGrowth(bytes: number): void {
    this.#host.giveGrowth(bytes);
  }
}
