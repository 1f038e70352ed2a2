/** Writing to a stream, by the shortest way that it has. */

import { LaneWriter } from "./lane_writer.ts";
import { type Lanes, LEAST_CARRIED, Stalls } from "./lanes.ts";
import type { DirectStream, Stream } from "./transport.ts";

/** Bytes of a write whose time tells of the way: keystrokes are not looked at. */
const BULK = 16 * 1024;

/** Writes in order, however many writes are under way. It owns the stream's writing direction. */
export class ByteWriter {
  readonly #direct?: DirectStream;
  readonly #writer?: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lanes: Lanes | undefined;
  #stalls: Stalls | undefined;
  /** Writes that wait. */
  #waiting = 0;
  /** Bytes that the stream itself was given. */
  #written = 0;
  #over = false;
  #wide: LaneWriter | undefined;
  /** Of a direct stream, which takes one call at a time: the last call, while it is under way. */
  #last?: Promise<void>;

  constructor(stream: Pick<Stream, "writable" | "direct" | "lanes">) {
    this.#direct = stream.direct;
    this.#lanes = stream.lanes;
    // A stream that has both makes its web stream when that is asked for.
    if (this.#direct) return;
    this.#writer = stream.writable.getWriter();
    // What the writer rejects with also rejects the write that met it.
    this.#writer.closed.catch(() => {});
  }

  /** Settles when there is room for more; the bytes must not change until then. */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#wide) return this.#wide.write(bytes);
    if (!this.#writer) return this.#next((direct) => direct.write(bytes));
    this.#written += bytes.length;
    const written = this.#writer.write(bytes);
    return this.#lanes && bytes.length >= BULK ? this.#watch(this.#lanes, written) : written;
  }

  /** Ends the direction behind everything written. */
  close(): Promise<void> {
    this.#over = true;
    if (this.#wide) return this.#wide.close();
    return this.#writer ? this.#writer.close() : this.#next((direct) => direct.close());
  }

  /** Gives the direction up. Never rejects. */
  abort(reason: unknown): void {
    this.#over = true;
    if (this.#wide) this.#wide.abort(reason);
    else if (this.#writer) this.#writer.abort(reason).catch(() => {}); // It has failed already.
    else this.#direct!.abort();
  }

  /** Goes on over lanes where writes wait all the time, though no other stream has any. */
  async #watch(lanes: Lanes, written: Promise<void>): Promise<void> {
    const { way } = lanes;
    const began = performance.now();
    if (this.#waiting++ === 0) way.waiting++;
    try {
      await written;
    } finally {
      if (--this.#waiting === 0) way.waiting--;
    }
    const now = performance.now();
    const isStalled = (this.#stalls ??= new Stalls()).note(now, now - began);
    if (!isStalled || this.#written < LEAST_CARRIED || this.#wide) return;
    if (way.waiting > Math.min(this.#waiting, 1)) return;
    // Without lanes it goes on as before, whatever keeps it from having any.
    const opened = await lanes.open().catch(() => undefined);
    if (!opened) return;
    if (this.#over || this.#wide) return opened.drop();
    opened.begin(this.#written);
    this.#wide = new LaneWriter(opened, this.#writer!);
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
