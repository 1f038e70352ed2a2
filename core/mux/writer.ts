/** Decides what goes out next: one loop, one message under way at a time. */

import type { CloseInfo } from "../transport.ts";
import { Batch } from "./batch.ts";
import { FrameType, type Settings } from "./frame.ts";
import type { MessageSocket } from "./message_socket.ts";
import type { RoundTrip } from "./round_trip.ts";
import type { SendHalf } from "./send_half.ts";
import type { ControlSource } from "./stream.ts";

/** Milliseconds from something of a stream for which a PONG alone asks for one too. */
const LINGER = 50;

/**
 * The writer loop. Control frames go first, then the streams take turns with a chunk each; what is
 * there at once leaves in one message. Nothing is queued here but who has something to say, so the
 * memory held is one message, however slow the socket is.
 */
export class Writer {
  readonly #socket: MessageSocket;
  readonly #onLost: (cause: unknown) => void;
  readonly #roundTrip: RoundTrip;
  readonly #control = new Set<ControlSource>();
  readonly #ready = new Set<SendHalf>();
  #settings: Settings | undefined;
  #ping: number | undefined;
  #pong: number | undefined;
  #streams = 0;
  #carriedAt = -Infinity;
  #closing: { info: CloseInfo; sent: boolean; left: PromiseWithResolvers<void> } | undefined;
  #running = false;

  constructor(socket: MessageSocket, roundTrip: RoundTrip, onLost: (cause: unknown) => void) {
    this.#socket = socket;
    this.#roundTrip = roundTrip;
    this.#onLost = onLost;
  }

  settings(settings: Settings): void {
    this.#settings = settings;
    this.#wake();
  }

  ping(value: number): void {
    this.#ping = value;
    this.#wake();
  }

  /** Only the latest PING is answered, so that a flood of them holds one number here. */
  pong(value: number): void {
    this.#pong = value;
    this.#wake();
  }

  /** Allows the peer so many streams more. */
  streams(more: number): void {
    this.#streams += more;
    this.#wake();
  }

  control(source: ControlSource): void {
    this.#control.add(source);
    this.#wake();
  }

  data(half: SendHalf): void {
    this.#ready.add(half);
    this.#wake();
  }

  /** Drops all else and sends a CLOSE; settles when the socket has taken it. */
  close(info: CloseInfo): Promise<void> {
    this.#control.clear();
    this.#ready.clear();
    this.#closing = { info, sent: false, left: Promise.withResolvers() };
    this.#wake();
    return this.#closing.left.promise;
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    this.#run();
  }

  async #run(): Promise<void> {
    // What is said in the same turn goes out in the same message.
    await null;
    let batch = this.#newBatch();
    try {
      for (;;) {
        // Data may have come while something brief was sent.
        if (batch.isBrief && this.#ready.size > 0) batch = this.#newBatch();
        if (!this.#fill(batch)) break;
        await this.#socket.send(batch.message);
        batch.clear();
      }
      batch.release();
      // After a CLOSE `running` stays, as after a failed send: nothing may follow.
      if (this.#closing) this.#closing.left.resolve();
      else this.#running = false;
    } catch (cause) {
      this.#closing?.left.reject(cause);
      this.#onLost(cause);
    }
  }

  #newBatch(): Batch {
    return new Batch(this.#socket.headroom, this.#ready.size > 0 ? "full" : "brief");
  }

  /** False when there is nothing to send. */
  #fill(batch: Batch): boolean {
    if (this.#closing) return this.#fillLast(batch);
    const { nagle } = this.#socket;
    const asks = this.#ping !== undefined;
    this.#fillOwn(batch);
    const own = batch.length;
    for (const source of this.#control) {
      if (batch.full) break;
      this.#control.delete(source);
      source.emitControl(batch);
    }
    // Each stream in line has one turn; one that has more goes to the end of the line.
    for (let turns = this.#ready.size; turns > 0 && !batch.full; turns--) {
      const half: SendHalf = this.#ready.values().next().value!;
      this.#ready.delete(half);
      if (!half.ready) continue;
      half.emit(batch);
      if (half.ready) this.#ready.add(half);
    }
    const now = performance.now();
    const carries = batch.length > own;
    if (carries) this.#carriedAt = now;
    // With a PING on a PONG alone another PONG comes. Were both ends to do that at rest, it would go on
    // for ever; but what is behind such a PONG may be data, which waits for its acknowledgement where
    // small writes wait for one another: at a relay, and in a platform that does not tell.
    const rides = carries || (!batch.empty && (nagle || now - this.#carriedAt < LINGER));
    if (rides && !asks) this.#addPing(batch);
    return !batch.empty;
  }

  #fillOwn(batch: Batch): void {
    if (this.#settings) batch.settings(this.#settings);
    if (this.#pong !== undefined) batch.control(FrameType.pong, 0, this.#pong);
    if (this.#ping !== undefined) batch.control(FrameType.ping, 0, this.#ping);
    if (this.#streams > 0) batch.control(FrameType.streams, 0, this.#streams);
    this.#settings = this.#pong = this.#ping = undefined;
    this.#streams = 0;
  }

  /**
   * A PING that rides along costs next to nothing. Where small writes wait for one another, the PONG
   * also carries the acknowledgement that the next one waits for; a large message is acknowledged as
   * it comes.
   */
  #addPing(batch: Batch): void {
    const { nagle } = this.#socket;
    const value = nagle ? this.#roundTrip.start() : this.#roundTrip.startIfDue();
    if (value !== undefined) batch.control(FrameType.ping, 0, value);
    // The peer may answer the latest alone: it has to be as good as the one that is under way.
    else if (nagle && batch.small) batch.control(FrameType.ping, 0, this.#roundTrip.value);
  }

  #fillLast(batch: Batch): boolean {
    const closing = this.#closing!;
    if (closing.sent) return false;
    closing.sent = true;
    batch.close(closing.info.code, closing.info.reason);
    return true;
  }
}
