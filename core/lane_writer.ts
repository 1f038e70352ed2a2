/** Writes a direction of a stream that goes on over lanes. */

import { type OutgoingLanes, TURN } from "./lanes.ts";

export class LaneWriter {
  readonly #lanes: OutgoingLanes;
  readonly #stream: WritableStreamDefaultWriter<Uint8Array>;
  /** The lane whose turn it is, and the bytes that are left of its turn. */
  #turn = 0;
  #left = TURN;

  /** @param stream of the stream itself, which ends when the lanes have */
  constructor(lanes: OutgoingLanes, stream: WritableStreamDefaultWriter<Uint8Array>) {
    this.#lanes = lanes;
    this.#stream = stream;
  }

  /** Settles when there is room for more; the bytes must not change until then. */
  async write(bytes: Uint8Array): Promise<void> {
    const { writers } = this.#lanes;
    const writes: Promise<void>[] = [];
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + this.#left);
      writes.push(writers[this.#turn]!.write(part));
      at += part.length;
      this.#left -= part.length;
      if (this.#left > 0) continue;
      this.#left = TURN;
      this.#turn = (this.#turn + 1) % writers.length;
    }
    await Promise.all(writes);
  }

  /** Ends the direction behind everything written. */
  async close(): Promise<void> {
    const { writers, known } = this.#lanes;
    await Promise.all(writers.map((writer) => writer.close()));
    this.#lanes.end();
    // To who does not know of the lanes, the end of the stream would be that of the direction.
    known.then(() => this.#stream.close()).catch(() => {}); // Session and peer are gone.
  }

  /** Gives the direction up. Never rejects. */
  abort(reason: unknown): void {
    this.#lanes.drop();
    this.#stream.abort(reason).catch(() => {}); // It has failed already.
  }
}
