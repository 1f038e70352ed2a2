/** A channel as the stream of the SSH library: nothing is read before that asks for it. */

import type { Stream } from "@microsoft/dev-tunnels-ssh";
import { Buffer } from "buffer";
import type { FleetStream } from "../../core/member/fleet.ts";

export class SshStream implements Stream {
  readonly #stream: FleetStream;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #listeners = new Set<(event: { error?: Error }) => unknown>();
  #rest: Uint8Array = new Uint8Array();
  isDisposed = false;

  constructor(stream: FleetStream) {
    this.#stream = stream;
    this.#reader = stream.readable.getReader();
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => {}); // Seen by the write that meets it.
    stream.closed.then(() => this.#end(), (error) => this.#end(error));
  }

  readonly closed: Stream["closed"] = (listener, self) => {
    const bound = listener.bind(self);
    this.#listeners.add(bound);
    return { dispose: () => this.#listeners.delete(bound) };
  };

  async read(count: number): Promise<Buffer | null> {
    if (this.#rest.length === 0) {
      const { value, done } = await this.#reader.read();
      if (done) return null;
      this.#rest = value;
    }
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(taken.length);
    return Buffer.from(taken);
  }

  async write(data: Buffer): Promise<void> {
    // The library goes on to use its memory, and the writer may still have it.
    await this.#writer.write(new Uint8Array(data));
  }

  close(error?: Error): Promise<void> {
    this.#stream.reset(error?.message ?? "the login is over");
    this.#end(error);
    return Promise.resolve();
  }

  dispose(): void {
    this.close();
  }

  #end(error?: Error): void {
    if (this.isDisposed) return;
    this.isDisposed = true;
    for (const listener of this.#listeners) listener({ error });
  }
}
