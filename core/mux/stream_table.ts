/** The streams of a session, whoever opened them, and what they share. */

import type { TunnelError } from "../errors.ts";
import type { Stream } from "../transport.ts";
import type { Arrivals } from "../arrivals.ts";
import { Acceptor } from "./acceptor.ts";
import { violation } from "./frame.ts";
import { Opener } from "./opener.ts";
import type { RoundTrip } from "./round_trip.ts";
import type { SendHalf } from "./send_half.ts";
import { type ControlSource, MuxStream, type StreamHost } from "./stream.ts";
import type { Writer } from "./writer.ts";

/** Bytes by which the windows of all streams together may grow beyond their initial sizes. */
const GROWTH = 16 * 1024 * 1024;

export interface StreamTableOptions {
  role: "client" | "server";
  /** Streams that the peer may have open at once. */
  limit: number;
  writer: Writer;
  roundTrip: RoundTrip;
  /** Told when the second stream opens, and when one at most is left. */
  onRest: (isResting: boolean) => void;
}

export class StreamTable implements StreamHost {
  readonly #writer: Writer;
  readonly #roundTrip: RoundTrip;
  readonly #opener: Opener;
  readonly #acceptor: Acceptor;
  readonly #onRest: (isResting: boolean) => void;
  /** All that are not over, those included that the peer has not heard of yet. */
  readonly #streams = new Set<MuxStream>();
  readonly #byId = new Map<number, MuxStream>();
  #growth = GROWTH;
  #credit = 0;
  #ended: TunnelError | undefined;

  constructor({ role, limit, writer, roundTrip, onRest }: StreamTableOptions) {
    const client = role === "client";
    this.#writer = writer;
    this.#roundTrip = roundTrip;
    this.#onRest = onRest;
    this.#opener = new Opener(client ? 1 : 2);
    this.#acceptor = new Acceptor(client ? 2 : 1, limit, (more) => writer.streams(more));
  }

  get incoming(): Arrivals {
    return this.#acceptor.incoming;
  }

  /** Streams that can be opened without waiting. */
  get places(): number {
    return this.#opener.places;
  }

  /** The peer has said how many bytes it takes on a stream at first, and how many streams. */
  start(credit: number, streams: number): void {
    this.#credit = credit;
    this.#opener.add(streams);
  }

  /** The peer takes more streams. */
  allow(more: number): void {
    this.#opener.add(more);
  }

  /** @throws {TunnelError} `aborted`, `limit` when no id is left, or why the session ended */
  async open(signal?: AbortSignal): Promise<Stream> {
    await this.#opener.take(signal);
    if (this.#ended) throw this.#ended;
    return this.#add(new MuxStream(this, 0, this.#credit));
  }

  /** A stream of the peer's, whose first frame has come. */
  admit(id: number): MuxStream {
    this.#acceptor.admit(id);
    const stream = this.#add(new MuxStream(this, id, this.#credit));
    this.#byId.set(id, stream);
    return stream;
  }

  /** Hands a stream of the peer's to whoever accepts. */
  arrived(stream: MuxStream): void {
    this.#acceptor.incoming.push(stream);
  }

  /** The stream; undefined when it is over. @throws {TunnelError} `protocol` when it never was */
  find(id: number): MuxStream | undefined {
    const stream = this.#byId.get(id);
    if (stream || this.#opener.used(id) || this.#acceptor.used(id)) return stream;
    throw violation(`a frame came for stream ${id}, which was never opened`);
  }

  /** The session has ended. */
  end(error: TunnelError): void {
    this.#ended = error;
    this.#opener.fail(error);
    for (const stream of this.#streams) stream.fail(error);
    this.#streams.clear();
    this.#byId.clear();
    this.#acceptor.incoming.end(error.code === "closed" ? undefined : error);
  }

  scheduleData(half: SendHalf): void {
    this.#writer.data(half);
  }

  scheduleControl(source: ControlSource): void {
    this.#writer.control(source);
  }

  announce(stream: MuxStream): number {
    const id = this.#opener.nextId();
    this.#byId.set(id, stream);
    return id;
  }

  release(stream: MuxStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 1) this.#onRest(true);
    this.#byId.delete(stream.id);
    if (this.#acceptor.used(stream.id)) this.#acceptor.left();
  }

  roundTrip(): number {
    return this.#roundTrip.shortest;
  }

  takeGrowth(bytes: number): number {
    const taken = Math.min(bytes, this.#growth);
    this.#growth -= taken;
    return taken;
  }

  giveGrowth(bytes: number): void {
    this.#growth += bytes;
  }

  #add(stream: MuxStream): MuxStream {
    this.#streams.add(stream);
    if (this.#streams.size === 2) this.#onRest(false);
    return stream;
  }
}
