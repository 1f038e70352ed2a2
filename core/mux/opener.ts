/** Streams of this side's: hands out the places that the peer allows, first come, first served. */

import { abortError, throwIfAborted } from "../deadline.ts";
import { TunnelError } from "../errors.ts";
import { violation } from "./frame.ts";

const ACTION = "open a stream";
/** Streams that one side can open in a session: as many as there are ids. */
const MAX_STREAMS = 2 ** 31 - 1;

export class Opener {
  /** Streams that the peer allows beyond those taken. */
  #places = 0;
  #untaken = MAX_STREAMS;
  #nextId: number;
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  #over: TunnelError | undefined;

  constructor(firstId: number) {
    this.#nextId = firstId;
  }

  /** Places that can be had without waiting. */
  get places(): number {
    return this.#places;
  }

  /**
   * Takes a place, waiting while there is none.
   *
   * @throws {TunnelError} `aborted`, or why the session ended
   */
  async take(signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal, ACTION);
    if (this.#over) throw this.#over;
    if (this.#untaken-- <= 0) {
      const remedy = "close the session and connect again";
      throw new TunnelError("limit", { action: ACTION, state: "no stream id is left", remedy });
    }
    if (this.#places > 0) {
      this.#places--;
      return;
    }
    const place = Promise.withResolvers<void>();
    const cancel = () => {
      if (!this.#waiting.delete(place)) return;
      this.#untaken++;
      place.reject(abortError(signal!, ACTION));
    };
    this.#waiting.add(place);
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      await place.promise;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** The peer allows more. */
  add(places: number): void {
    this.#places += places;
    if (this.#places > MAX_STREAMS) throw violation("streams were allowed beyond 2^31");
    for (const place of this.#waiting) {
      if (this.#places === 0) return;
      this.#places--;
      this.#waiting.delete(place);
      place.resolve();
    }
  }

  /** The id for a stream that has a place. */
  nextId(): number {
    const id = this.#nextId;
    this.#nextId += 2;
    return id;
  }

  /** True for an id that was given out. */
  used(id: number): boolean {
    return id % 2 === this.#nextId % 2 && id < this.#nextId;
  }

  fail(error: TunnelError): void {
    this.#over = error;
    for (const place of this.#waiting) place.reject(error);
    this.#waiting.clear();
  }
}
