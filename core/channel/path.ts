/**
 * A path: one dialled stream under a channel, with the keys of its own handshake. It seals records
 * and opens them; what they mean is the channel's business.
 *
 *     u32 length (big-endian) | length bytes: a record and its authentication tag, encrypted
 *
 * Every record is one message of the Noise transport phase, with no additional data, so that a relay
 * can neither alter, nor repeat, nor reorder, nor leave one out without the next failing to open.
 */

import { giveBlock, takeRoom } from "../blocks.ts";
import type { BlockReader } from "../block_reader.ts";
import type { ByteWriter } from "../byte_writer.ts";
import type { ByteStream } from "../control_stream.ts";
import { withDeadline } from "../deadline.ts";
import { toTunnelError, TunnelError } from "../errors.ts";
import { DATA_HEADER, MAX_DATA } from "./record.ts";

/** Bytes of the length in front of a sealed record. */
const PREFIX = 4;
/** Bytes of an authentication tag. */
const TAG = 16;
const MAX_SEALED = DATA_HEADER + MAX_DATA + TAG;
/** Milliseconds that the stream may take to end once the channel has. */
const LINGER = 5_000;

/** Seals what is sent; each call uses the next nonce. */
export interface Sealer {
  /** Writes the parts, encrypted as one message, and a tag of 16 bytes to `target` at `offset`. */
  seal(parts: readonly Uint8Array[], target: Uint8Array, offset: number): void;
}

/** Opens what is received, in the order in which it was sealed. */
export interface Opener {
  /**
   * The message without its tag, in memory of its own.
   *
   * @throws {TunnelError} `protocol` when it was altered, or is not the next one
   */
  open(sealed: Uint8Array): Uint8Array;
}

export interface PathKeys {
  readonly send: Sealer;
  readonly receive: Opener;
}

export interface PathOptions extends ByteStream {
  readonly keys: PathKeys;
  /** Called once, when the stream has ended or was given up. */
  readonly onEnd?: () => void;
  /** Told of bytes that the stream has taken or brought. */
  readonly carried?: (bytes: number) => void;
}

export class Path {
  readonly #reader: BlockReader;
  readonly #writer: ByteWriter;
  readonly #keys: PathKeys;
  readonly #onEnd: () => void;
  readonly #carried: ((bytes: number) => void) | undefined;
  /** A record whose rest has not come yet. */
  #partial: Uint8Array<ArrayBuffer> = EMPTY;
  #filled = 0;
  #over = false;
  /** Resolved when nothing more is read. */
  readonly #heard = Promise.withResolvers<void>();

  constructor({ reader, writer, keys, onEnd, carried }: PathOptions) {
    this.#reader = reader;
    this.#writer = writer;
    this.#keys = keys;
    this.#onEnd = onEnd ?? (() => {});
    this.#carried = carried;
  }

  /** Sends one record, given in parts, as {@linkcode Path.sendAll} does. */
  send(...parts: readonly Uint8Array[]): Promise<void> {
    return this.sendAll([parts]);
  }

  /**
   * Sends records, each in parts, in one write; the parts may be used again as soon as this returns
   * its promise. One call at a time.
   *
   * @throws {TunnelError} `reset` when the stream has failed
   */
  async sendAll(records: readonly (readonly Uint8Array[])[]): Promise<void> {
    const lengths = records.map((parts) => parts.reduce((sum, part) => sum + part.length, TAG));
    const length = lengths.reduce((sum, one) => sum + PREFIX + one, 0);
    const room = takeRoom(length, 0);
    const view = new DataView(room.buffer);
    let at = 0;
    records.forEach((parts, i) => {
      view.setUint32(at, lengths[i]!);
      const end = at + PREFIX + lengths[i]!;
      this.#keys.send.seal(parts, room.subarray(0, end), at + PREFIX);
      at = end;
    });
    try {
      await this.#writer.write(room.subarray(0, length));
    } catch (cause) {
      throw lost("it failed", cause);
    }
    this.#carried?.(length);
    giveBlock(room);
  }

  /**
   * Hands over every record until the stream is lost or given up.
   *
   * @throws {TunnelError} `reset` when the stream ends, fails, or carries what the peer did not seal
   */
  async receive(handle: (record: Uint8Array) => void): Promise<void> {
    try {
      for (;;) {
        const block = await this.#read();
        if (this.#over && block === null) return;
        if (block === null) throw lost("it ended before the channel did");
        this.#carried?.(block.length);
        if (!this.#over) this.#take(block, handle);
      }
    } finally {
      this.#heard.resolve();
    }
  }

  /** Ends the stream in order, after what was sent. Never rejects. */
  async close(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      await withDeadline({ action: "end the stream", timeout: LINGER }, async () => {
        await this.#writer.close();
        await this.#heard.promise;
      });
    } catch {
      // Both ends have said and heard everything: how the stream ends makes no difference any more.
      this.#reader.cancel();
    }
    this.#onEnd();
  }

  /** Gives the stream up, after what was sent. */
  drop(reason: TunnelError): void {
    if (this.#over) return;
    this.#over = true;
    // Closed and not aborted: an abort would overtake a RESET that may be under way.
    this.#writer.close().catch(() => {});
    this.#reader.cancel(reason);
    this.#onEnd();
  }

  /** The next block; null at the end, which a failure is too once the path was given up. */
  async #read(): Promise<Uint8Array | null> {
    try {
      return await this.#reader.read();
    } catch (cause) {
      if (this.#over) return null;
      throw lost(toTunnelError(cause, "", "reset").parts.state, cause);
    }
  }

  /** Opens the records in a block; one that lies within it is not copied before. */
  #take(block: Uint8Array, handle: (record: Uint8Array) => void): void {
    let at = 0;
    while (at < block.length && !this.#over) {
      if (this.#filled === 0 && block.length - at >= PREFIX) {
        const end = at + PREFIX + sealedLength(block, at);
        if (end <= block.length) {
          handle(this.#open(block.subarray(at + PREFIX, end)));
          at = end;
          continue;
        }
      }
      at += this.#collect(block.subarray(at));
      if (this.#filled > PREFIX && this.#filled === PREFIX + sealedLength(this.#partial, 0)) {
        const record = this.#open(this.#partial.subarray(PREFIX, this.#filled));
        giveBlock(this.#partial);
        this.#partial = EMPTY;
        this.#filled = 0;
        handle(record);
      }
    }
  }

  /** Takes what belongs to the record under way; says how many bytes that were. */
  #collect(bytes: Uint8Array): number {
    let used = 0;
    if (this.#filled < PREFIX) {
      if (this.#filled === 0) this.#partial = new Uint8Array(PREFIX);
      used = this.#fill(bytes, PREFIX);
      if (this.#filled < PREFIX) return used;
      const whole = takeRoom(PREFIX + sealedLength(this.#partial, 0), 0);
      whole.set(this.#partial);
      this.#partial = whole;
    }
    return used + this.#fill(bytes.subarray(used), PREFIX + sealedLength(this.#partial, 0));
  }

  #fill(bytes: Uint8Array, end: number): number {
    const part = bytes.subarray(0, end - this.#filled);
    this.#partial.set(part, this.#filled);
    this.#filled += part.length;
    return part.length;
  }

  #open(sealed: Uint8Array): Uint8Array {
    try {
      return this.#keys.receive.open(sealed);
    } catch (cause) {
      throw lost("what came on it was not sealed by the other end", cause);
    }
  }
}

const EMPTY = new Uint8Array(0);

/** The checked length of the sealed record whose prefix begins at `at`. */
function sealedLength(bytes: Uint8Array, at: number): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
  if (length > TAG && length <= MAX_SEALED) return length;
  throw lost(`a record of ${length} bytes came, ${TAG + 1} to ${MAX_SEALED} are taken`);
}

function lost(state: string, cause?: unknown): TunnelError {
  return new TunnelError("reset", {
    action: "use the channel",
    state: `the stream under it was lost: ${state}`,
    cause,
  });
}
