/** Message sockets in memory, for the tests of what lies above them. */

import type { MessageSocket } from "./message_socket.ts";

/** Bytes that a socket takes before its peer has received them. */
const BUFFER = 256 * 1024;

export interface TestSocket extends MessageSocket {
  /** Messages sent so far. */
  readonly sent: number;
  /** Bytes sent and not received. */
  readonly buffered: number;
  /** Stops handing out what the peer sends, as a process that stands still would. */
  pause(): void;
  resume(): void;
}

/** Two ends of a connection with room for 256 KiB in each direction. */
export function socketPair(options: { nagle?: boolean } = {}): [TestSocket, TestSocket] {
  const [there, back] = [new Direction(), new Direction()];
  const nagle = options.nagle ?? false;
  return [new End(there, back, nagle), new End(back, there, nagle)];
}

class Direction {
  readonly queue: Uint8Array[] = [];
  bytes = 0;
  ended = false;
  paused = false;
  #changed = Promise.withResolvers<void>();

  change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }
}

class End implements TestSocket {
  readonly headroom = 16;
  sent = 0;
  #sending = false;

  constructor(readonly out: Direction, readonly from: Direction, readonly nagle: boolean) {}

  get buffered(): number {
    return this.out.bytes;
  }

  async send(message: Uint8Array): Promise<void> {
    if (this.#sending) throw new Error("send was called while another was under way");
    if (message.byteOffset < this.headroom) throw new Error("a message came without its headroom");
    if (this.out.ended) throw new Error("the socket is closed");
    this.#sending = true;
    this.sent++;
    this.out.queue.push(message.slice());
    this.out.bytes += message.length;
    // What was handed over is the socket's to change: a writer that keeps it would show.
    message.fill(0xee);
    this.out.change();
    await this.out.until(() => this.out.bytes < BUFFER || this.out.ended);
    this.#sending = false;
  }

  async receive(): Promise<Uint8Array | null> {
    const { from } = this;
    await from.until(() => !from.paused && (from.queue.length > 0 || from.ended));
    const message = from.queue.shift();
    if (!message) return null;
    from.bytes -= message.length;
    from.change();
    return message;
  }

  async close(): Promise<void> {
    this.out.ended = true;
    this.out.change();
    await this.from.until(() => this.from.ended);
  }

  abort(): void {
    for (const direction of [this.out, this.from]) {
      direction.ended = true;
      direction.paused = false;
      direction.change();
    }
  }

  pause(): void {
    this.from.paused = true;
  }

  resume(): void {
    this.from.paused = false;
    this.from.change();
  }
}
