/** Reads a direction of a stream that may go on over lanes. */

import { ByteSource, type Source } from "./block_source.ts";
import { TunnelError } from "./errors.ts";
import { type IncomingLanes, type Lanes, LEAST_CARRIED, TURN } from "./lanes.ts";

/** Bytes after which the peer may be about to open lanes: few streams carry as much. */
const MANY = LEAST_CARRIED / 4;

export class LaneSource implements Source {
  readonly #stream: Source;
  readonly #lanes: Lanes;
  #received = 0;
  #unwatch: (() => void) | undefined;
  #opened: IncomingLanes | undefined;
  #turns: Turns | undefined;
  #failure: TunnelError | undefined;
  /** A read of the stream, which may wait for what comes by lanes instead. */
  #waiting: PromiseWithResolvers<Uint8Array | null | typeof TURNED> | undefined;

  constructor(stream: Source, lanes: Lanes) {
    this.#stream = stream;
    this.#lanes = lanes;
  }

  async read(size: number): Promise<Uint8Array | null> {
    const value = this.#turns ? TURNED : await this.#readStream(size);
    if (value === TURNED) {
      const turn = await this.#turns!.read(size);
      if (turn === null) await this.cancel(undefined);
      return turn;
    }
    if (value === null) this.#leave();
    else this.#count(value.length);
    if (this.#failure) throw this.#failure;
    return value;
  }

  async cancel(reason: unknown): Promise<void> {
    this.#leave();
    await this.#stream.cancel(reason);
  }

  #readStream(size: number): Promise<Uint8Array | null | typeof TURNED> {
    if (!this.#unwatch) return this.#stream.read(size);
    const waiting = this.#waiting = Promise.withResolvers();
    this.#stream.read(size).then(waiting.resolve, waiting.reject);
    return waiting.promise as Promise<Uint8Array | null | typeof TURNED>;
  }

  #count(length: number): void {
    this.#received += length;
    if (this.#received < MANY) return;
    this.#unwatch ??= this.#lanes.watch((opened) => {
      this.#opened = opened;
      this.#turnWhenDue();
    });
    this.#turnWhenDue();
  }

  /** Goes over to the lanes once all has come that comes by the stream. */
  #turnWhenDue(): void {
    if (!this.#opened || this.#turns || this.#received < this.#opened.position) return;
    if (this.#received > this.#opened.position) {
      this.#failure = new TunnelError("protocol", {
        action: "read a stream",
        state: "the other end broke the rules: it went on by lanes from where it had been",
      });
      this.#leave();
      return this.#waiting?.reject(this.#failure);
    }
    this.#turns = new Turns(this.#opened.readables);
    this.#waiting?.resolve(TURNED);
  }

  /** Nothing more is read. */
  #leave(): void {
    this.#unwatch?.();
    this.#turns?.cancel();
    if (!this.#turns) this.#opened?.readables.forEach((lane) => lane.cancel().catch(() => {}));
    this.#opened = undefined;
  }
}

/** In place of what a stream brings: it comes by lanes. */
const TURNED = Symbol();

/** What comes by lanes, in the order of their turns. */
class Turns {
  readonly #sources: readonly ByteSource[];
  #turn = 0;
  #left = TURN;

  constructor(readables: readonly ReadableStream<Uint8Array>[]) {
    this.#sources = readables.map((lane) => new ByteSource(lane.getReader({ mode: "byob" })));
  }

  /** Null at the end, which is where the lane whose turn it is ends. */
  async read(size: number): Promise<Uint8Array | null> {
    const value = await this.#sources[this.#turn]!.read(size, Math.min(size, this.#left));
    this.#left -= value?.length ?? 0;
    if (this.#left === 0) {
      this.#left = TURN;
      this.#turn = (this.#turn + 1) % this.#sources.length;
    }
    return value;
  }

  cancel(): void {
    for (const source of this.#sources) source.cancel(undefined).catch(() => {}); // It has failed.
  }
}
