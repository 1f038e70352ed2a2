/** Streams of the peer's: admits them up to the limit, and holds them until they are asked for. */

import type { TunnelError } from "../errors.ts";
import type { Stream } from "../transport.ts";
import { violation } from "./frame.ts";

export class Acceptor {
  readonly incoming: ReadableStream<Stream>;
  readonly #limit: number;
  readonly #allow: (more: number) => void;
  #controller!: ReadableStreamDefaultController<Stream>;
  readonly #queue: Stream[] = [];
  #wanted = false;
  #refusing = false;
  #nextId: number;
  /** Streams that the peer may still open. */
  #allowed: number;
  /** Places that streams have left and the peer was not told of yet. */
  #free = 0;

  constructor(firstId: number, limit: number, allow: (more: number) => void) {
    this.#nextId = firstId;
    this.#limit = this.#allowed = limit;
    this.#allow = allow;
    this.incoming = new ReadableStream<Stream>({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#pull(),
      cancel: () => this.#refuseAll(),
    }, { highWaterMark: 0 });
  }

  /** Takes a stream's first frame. @throws {TunnelError} `protocol` when it must not come */
  admit(id: number): void {
    if (id !== this.#nextId) throw violation(`stream ${id} was opened, not ${this.#nextId}`);
    if (this.#allowed === 0) throw violation("a stream was opened beyond the limit");
    this.#nextId += 2;
    this.#allowed--;
  }

  /** Hands the stream on, now or when it is asked for. */
  arrived(stream: Stream): void {
    if (this.#refusing) return refuse(stream);
    if (!this.#wanted) return void this.#queue.push(stream);
    this.#wanted = false;
    this.#controller.enqueue(stream);
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

  /** Ends `incoming`: in order, or with an error. */
  end(error?: TunnelError): void {
    this.#queue.length = 0;
    if (this.#refusing) return;
    if (error) this.#controller.error(error);
    else this.#controller.close();
  }

  #pull(): void {
    const stream = this.#queue.shift();
    if (stream) this.#controller.enqueue(stream);
    else this.#wanted = true;
  }

  #refuseAll(): void {
    this.#refusing = true;
    for (const stream of this.#queue.splice(0)) refuse(stream);
  }
}

function refuse(stream: Stream): void {
  // Both fail only when the stream is over, and then it needs no refusal.
  stream.writable.abort().catch(() => {});
  stream.readable.cancel().catch(() => {});
}
