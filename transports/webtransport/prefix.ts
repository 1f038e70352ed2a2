/** Numbers off the front of a stream that others read on: nothing behind them is taken. */

import { concat } from "../../core/bytes.ts";
import { decodeVarint, varintLength } from "./varint.ts";

export class PrefixReader {
  readonly #reader: ReadableStreamBYOBReader;
  readonly #most: number;
  #taken = new Uint8Array(0);
  #at = 0;

  /** @param most bytes that may be taken at once if they are there, which spares reads */
  constructor(readable: ReadableStream<Uint8Array>, most = 1) {
    this.#reader = readable.getReader({ mode: "byob" });
    this.#most = most;
  }

  /** All that was taken of the stream. */
  get taken(): Uint8Array<ArrayBuffer> {
    return this.#taken;
  }

  /** Null when the stream ends before or within it. Rejects with the stream's error. */
  async varint(): Promise<bigint | null> {
    if (!await this.#fill(1)) return null;
    if (!await this.#fill(varintLength(this.#taken[this.#at]!))) return null;
    const { value, end } = decodeVarint(this.#taken, this.#at)!;
    this.#at = end;
    return value;
  }

  /** Lets others read what follows. */
  release(): void {
    this.#reader.releaseLock();
  }

  /** Has so many bytes ready; false when the stream ends before. */
  async #fill(count: number): Promise<boolean> {
    const missing = this.#at + count - this.#taken.length;
    if (missing <= 0) return true;
    const room = Math.max(missing, this.#most - this.#taken.length);
    const { value } = await this.#reader.read(new Uint8Array(room), { min: missing });
    if (value) this.#taken = concat([this.#taken, value]);
    return (value?.length ?? 0) >= missing;
  }
}
