/** A path whose other end is a script: what is sent lies there until the script takes it. */

import { concat } from "../../core/bytes.ts";
import type { Path } from "../../core/channel/path.ts";
import { TunnelError } from "../../core/errors.ts";

export class FakePath {
  /** Records that the channel has sent and the script has not taken. */
  readonly sent: Uint8Array[] = [];
  closed = false;
  #handle?: (record: Uint8Array) => void;
  readonly #heard = Promise.withResolvers<void>();

  /** As a channel takes it. */
  get path(): Path {
    return this as unknown as Path;
  }

  // What a channel calls.

  sendAll(records: readonly (readonly Uint8Array[])[]): Promise<void> {
    if (!this.closed) this.sent.push(...records.map(concat));
    return Promise.resolve();
  }

  receive(handle: (record: Uint8Array) => void): Promise<void> {
    this.#handle = handle;
    return this.#heard.promise;
  }

  close(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  drop(): void {
    this.#end();
  }

  // What a script calls.

  /** Has the channel receive a record, in memory of its own as from a real path. */
  deliver(record: Uint8Array): void {
    if (!this.closed) this.#handle?.(record.slice());
  }

  /** Ends it as a lost session would. */
  lose(): void {
    this.closed = true;
    this.#heard.reject(new TunnelError("reset", { action: "fuzz", state: "the path was lost" }));
  }

  #end(): void {
    this.closed = true;
    this.#heard.resolve();
  }
}

/** Bytes of the endless sequence that a direction carries. */
export function sequence(from: number, length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const at = from + i;
    bytes[i] = Math.imul(at, 31) + (at >> 8) + seed;
  }
  return bytes;
}

export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
