/**
 * Lanes: streams that take over what one stream carries. A stream of QUIC has as much under way as
 * its receiver gives it credit for, 1.25 MB here and not to be changed; on a long way, all the more
 * where packets are lost and what follows them waits, that is less than the way has room for. So a
 * direction of a stream goes on over several, which have such credit each. They take turns, block by
 * block, so that nothing needs to be said about their order.
 */

import { BLOCK } from "./blocks.ts";

/** Lanes of a direction. */
export const LANES = 4;
/** Bytes by one lane before the next has its turn. */
export const TURN = BLOCK;
/** Bytes that a direction has carried at least before it goes on over lanes. */
export const LEAST_CARRIED = 1024 * 1024;

/** What the streams of a session have in common. */
export interface Way {
  /** Streams of which a write waits that brings much. */
  waiting: number;
}

/** The lanes of one stream, each direction by itself. */
export interface Lanes {
  readonly way: Way;
  /** Opens some for what this end writes; undefined when there are none to be had now. */
  open(): Promise<OutgoingLanes | undefined>;
  /**
   * Has itself told, once, of those that the peer opens for what this end reads. Asked for before
   * {@linkcode LEAST_CARRIED} bytes have come.
   *
   * @returns to be called when this end reads no more
   */
  watch(onOpened: (lanes: IncomingLanes) => void): () => void;
}

/** Lanes that carry what is written from some position on. */
export interface OutgoingLanes {
  /** {@linkcode LANES} of them. */
  readonly writers: readonly WritableStreamDefaultWriter<Uint8Array>[];
  /** Fulfils when the peer knows of them, or must: until then the stream itself must not end. */
  readonly known: Promise<void>;
  /** Tells the peer what they are for. @param position bytes that were written to the stream before */
  begin(position: number): void;
  /** They have ended, in order. */
  end(): void;
  /** Gives them up, begun or not. Never rejects. */
  drop(): void;
}

/** Lanes that bring what comes from some position on. */
export interface IncomingLanes {
  /** Bytes that come by the stream itself. */
  readonly position: number;
  /** {@linkcode LANES} of them, in the order of their turns. */
  readonly readables: readonly ReadableStream<Uint8Array>[];
}

/** Milliseconds of a write that is not held up by how busy the machine is. */
const HELD_UP = 20;
/** Milliseconds of such writes that are enough, of how many. */
const ENOUGH = 200;
const WITHIN = 2_000;

/** Whether a direction has more to send than its stream's credit lets it. */
export class Stalls {
  #since = 0;
  #stalled = 0;

  /**
   * Takes note of a write.
   *
   * @param now milliseconds from any beginning, when it settled
   * @param took milliseconds
   * @returns whether the stream is held up all the time
   */
  note(now: number, took: number): boolean {
    if (took < HELD_UP) return false;
    if (now - this.#since > WITHIN) {
      this.#since = now;
      this.#stalled = 0;
    }
    this.#stalled += took;
    if (this.#stalled < ENOUGH) return false;
    this.#stalled = 0;
    return true;
  }
}
