/** Numbers off the front of a stream that others read on: nothing behind them is taken. */

import { concat } from "../../core/bytes.ts";
import { decodeVarint, varintLength } from "./varint.ts";

export class PrefixReader {
  readonly #reader: ReadableStreamBYOBReader;

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#reader = readable.getReader({ mode: "byob" });
  }

  /** Null when the stream ends before or within it. Rejects with the stream's error. */
  async varint(): Promise<bigint | null> {
    const first = await this.#exactly(1);
    if (!first) return null;
    const more = varintLength(first[0]!) - 1;
    if (more === 0) return decodeVarint(first)!.value;
    const rest = await this.#exactly(more);
    return rest && decodeVarint(concat([first, rest]))!.value;
  }

  /** Lets others read what follows. */
  release(): void {
    this.#reader.releaseLock();
  }

  async #exactly(length: number): Promise<Uint8Array | null> {
    const { value } = await this.#reader.read(new Uint8Array(length), { min: length });
    return value?.length === length ? value : null;
  }
}
