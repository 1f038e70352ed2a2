/** Streams of the peer's: admits them up to the limit, and holds them until they are asked for. */

import { Arrivals } from "../arrivals.ts";
import { violation } from "./frame.ts";

export class Acceptor {
  readonly incoming = new Arrivals();
  readonly #limit: number;
  readonly #allow: (more: number) => void;
  #nextId: number;
  /** Streams that the peer may still open. */
  #allowed: number;
  /** Places that streams have left and the peer was not told of yet. */
  #free = 0;

  constructor(firstId: number, limit: number, allow: (more: number) => void) {
    this.#nextId = firstId;
    this.#limit = this.#allowed = limit;
    this.#allow = allow;
  }

  /** Takes a stream's first frame. @throws {TunnelError} `protocol` when it must not come */
  admit(id: number): void {
    if (id !== this.#nextId) throw violation(`stream ${id} was opened, not ${this.#nextId}`);
    if (this.#allowed === 0) throw violation("a stream was opened beyond the limit");
    this.#nextId += 2;
    this.#allowed--;
  }

  /**
   * A stream has ended and its place is free. A sixteenth of all places may wait to be told of
   * together: a frame for each would cost short streams dearly.
   */
  left(): void {
    this.#free++;
    if (this.#free <= this.#limit / 16) return;
    this.#allowed += this.#free;
    this.#allow(this.#free);
    this.#free = 0;
  }

  /** True for an id that the peer has opened. */
  used(id: number): boolean {
    return id % 2 === this.#nextId % 2 && id < this.#nextId;
  }
}
