/** The reading direction of a stream as a web stream. */

import type { TunnelError } from "../errors.ts";

/** Bytes set aside for a reader that brings no memory, when nothing is there yet. */
const CHUNK = 16 * 1024;

/** What it reads from. */
export interface ReadSource {
  /** Bytes that are there in one piece. */
  next(): number;
  /** {@linkcode DirectStream.read} */
  read(target: Uint8Array): Promise<number | null>;
  cancel(): void;
}

/** A stream of bytes, so that a reader may bring its own memory. Nothing is read ahead. */
export class WebReadable {
  readonly readable: ReadableStream<Uint8Array>;
  #controller!: ReadableByteStreamController;
  #pulling = false;
  #closing = false;
  #over = false;

  constructor(source: ReadSource) {
    this.readable = new ReadableStream({
      type: "bytes",
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#pull(source),
      cancel: () => {
        this.#over = true;
        source.cancel();
      },
    }, { highWaterMark: 0 }) as ReadableStream<Uint8Array>;
  }

  /** Everything was read, if need be by the call that is under way. */
  close(): void {
    if (this.#pulling) this.#closing = true;
    else this.#close();
  }

  fail(error: TunnelError): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller.error(error);
  }

  async #pull(source: ReadSource): Promise<void> {
    const request = this.#controller.byobRequest;
    const target = request?.view as Uint8Array<ArrayBuffer> ??
      new Uint8Array(source.next() || CHUNK);
    this.#pulling = true;
    const count = await source.read(target);
    this.#pulling = false;
    if (this.#over) return;
    if (count === null) return this.#close();
    if (request) request.respond(count);
    else this.#controller.enqueue(target.subarray(0, count));
    if (this.#closing) this.#close();
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller.close();
    // A reader that brought its memory gets it back empty.
    this.#controller.byobRequest?.respond(0);
  }
}
