/** Byte connections in memory, for the tests of what lies above them. */

import type { ByteConn } from "./socket.ts";

export interface TestConn extends ByteConn {
  /** Writes all bytes, as fast as the peer reads. */
  writeAll(bytes: Uint8Array): Promise<void>;
  /** Reads until there are `length` bytes, or the end. */
  readExactly(length: number): Promise<Uint8Array>;
  readonly closed: boolean;
}

/**
 * Two ends of a connection with room for 64 KiB in each direction.
 *
 * @param most bytes that one read gives at most, and one write takes at most
 */
export function connPair(most: () => number = () => Infinity): [TestConn, TestConn] {
  const [there, back] = [new Direction(), new Direction()];
  return [new End(there, back, most), new End(back, there, most)];
}

class Direction {
  readonly queue: Uint8Array[] = [];
  bytes = 0;
  ended = false;
  #changed = Promise.withResolvers<void>();

  change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }
}

class End implements TestConn {
  closed = false;
  #writing = false;

  constructor(readonly out: Direction, readonly from: Direction, readonly most: () => number) {}

  async write(bytes: Uint8Array): Promise<number> {
    if (this.#writing) throw new Error("two writes at once would mix their bytes");
    this.#writing = true;
    const taken = bytes.slice(0, this.most());
    await this.out.until(() => this.out.bytes < 65_536 || this.out.ended);
    this.#writing = false;
    if (this.out.ended) throw new Deno.errors.BrokenPipe("the peer has closed");
    this.out.queue.push(taken);
    this.out.bytes += taken.length;
    this.out.change();
    return taken.length;
  }

  async read(target: Uint8Array): Promise<number | null> {
    if (target.length === 0) throw new Error("a read without room never ends");
    await this.from.until(() => this.from.queue.length > 0 || this.from.ended || this.closed);
    if (this.closed) throw new Deno.errors.Interrupted("it was closed");
    const first = this.from.queue[0];
    if (!first) return null;
    const count = Math.min(first.length, target.length, this.most());
    target.set(first.subarray(0, count));
    if (count === first.length) this.from.queue.shift();
    else this.from.queue[0] = first.subarray(count);
    this.from.bytes -= count;
    this.from.change();
    return count;
  }

  close(): void {
    if (this.closed) throw new Deno.errors.BadResource("it is closed");
    this.closed = true;
    for (const direction of [this.out, this.from]) {
      direction.ended = true;
      direction.change();
    }
  }

  async writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.write(bytes.subarray(at));
  }

  async readExactly(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = await this.read(bytes.subarray(filled));
      if (count === null) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  }
}
