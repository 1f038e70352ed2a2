/** Writing to a stream, by the shortest way that it has. */

import type { DirectStream, Stream } from "./transport.ts";

/** Writes in order, however many writes are under way. It owns the stream's writing direction. */
export class ByteWriter {
  readonly #direct?: DirectStream;
  readonly #writer?: WritableStreamDefaultWriter<Uint8Array>;
  /** Of a direct stream, which takes one call at a time: the last call, while it is under way. */
  #last?: Promise<void>;

  constructor(stream: Pick<Stream, "writable" | "direct">) {
    this.#direct = stream.direct;
    // A stream that has both makes its web stream when that is asked for.
    if (this.#direct) return;
    this.#writer = stream.writable.getWriter();
    // What the writer rejects with also rejects the write that met it.
    this.#writer.closed.catch(() => {});
  }

  /** Settles when there is room for more; the bytes must not change until then. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#writer ? this.#writer.write(bytes) : this.#next((direct) => direct.write(bytes));
  }

  /** Ends the direction behind everything written. */
  close(): Promise<void> {
    return this.#writer ? this.#writer.close() : this.#next((direct) => direct.close());
  }

  /** Gives the direction up. Never rejects. */
  abort(reason: unknown): void {
    if (this.#writer) this.#writer.abort(reason).catch(() => {}); // It has failed already.
    else this.#direct!.abort();
  }

  #next(call: (direct: DirectStream) => Promise<void>): Promise<void> {
    const direct = this.#direct!;
    // A failure of the one before is the next one's too, and the stream says it again.
    const made = this.#last
      ? this.#last.then(() => call(direct), () => call(direct))
      : call(direct);
    const done = () => {
      if (this.#last === made) this.#last = undefined;
    };
    this.#last = made;
    made.then(done, done);
    return made;
  }
}
