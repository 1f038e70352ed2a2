/** The sending direction of a channel: what was written, what may be sent, and what has arrived. */

import { TunnelError } from "../errors.ts";
import { MAX_DATA } from "./record.ts";
import { ReplayBuffer } from "./replay.ts";

/** Bytes that a sending direction holds at most, by default, until the peer has received them. */
export const DEFAULT_MAX_REPLAY = 16 * 1024 * 1024;
/** Bytes written but not sent yet above which a writer waits: enough for one record beside the next. */
const MAX_UNSENT = 2 * MAX_DATA;

/** Bytes to send, at their position in the direction. */
export interface Outgoing {
  readonly position: number;
  readonly length: number;
  /** Valid until the next acknowledgement. */
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
  /** They use the last of the credit. */
  readonly blocked: boolean;
}

export class SendSide {
  readonly #buffer = new ReplayBuffer();
  readonly #maxHeld: number;
  readonly #onWork: () => void;
  /** The position that the peer allows this end to send up to. */
  #limit: number;
  /** The position of the next byte to send on the current path. */
  #cursor = 0;
  /** The largest position ever sent, the end counting as one. */
  #highest = 0;
  #ending = false;
  #endSent = false;
  #finished = false;
  #failure?: TunnelError;
  #room?: PromiseWithResolvers<void>;

  /** @param onWork called when there may be more to send */
  constructor(window: number, maxHeld: number = DEFAULT_MAX_REPLAY, onWork: () => void) {
    this.#limit = window;
    this.#maxHeld = maxHeld;
    this.#onWork = onWork;
  }

  /** True when the peer has received everything and the end. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Bytes written in all. */
  get total(): number {
    return this.#buffer.end;
  }

  /** Bytes that credit lets go now; what {@linkcode SendSide.next} takes at most. */
  get sendable(): number {
    return Math.max(0, Math.min(this.#buffer.end, this.#limit) - this.#cursor);
  }

  /** Takes the bytes, as soon as there is room for them. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.#failure) throw this.#failure;
      if (this.#ending) throw misuse();
      if (!this.#hasRoom) {
        this.#room ??= Promise.withResolvers();
        await this.#room.promise;
        continue;
      }
      const part = bytes.subarray(at, at + MAX_DATA);
      this.#buffer.append(part);
      at += part.length;
      this.#onWork();
    }
    if (this.#failure) throw this.#failure;
  }

  /** Ends the direction behind everything written. */
  end(): void {
    if (this.#failure) throw this.#failure;
    this.#ending = true;
    this.#onWork();
  }

  /** Takes the next bytes to send, as far as credit goes; undefined when there are none. */
  next(): Outgoing | undefined {
    const position = this.#cursor;
    const length = Math.min(this.sendable, MAX_DATA);
    if (length === 0) return undefined;
    const parts = this.#buffer.slice(position, length);
    this.#cursor += length;
    this.#highest = Math.max(this.#highest, this.#cursor);
    this.#makeRoom();
    return { position, length, parts, blocked: this.#cursor === this.#limit };
  }

  /** True when the end is the next to send. */
  get endDue(): boolean {
    return this.#ending && !this.#endSent && this.#cursor === this.#buffer.end;
  }

  /** {@linkcode SendSide.endDue}, once on each path. */
  takeEnd(): boolean {
    if (!this.endDue) return false;
    this.#endSent = true;
    this.#highest = this.#buffer.end + 1;
    return true;
  }

  /**
   * The peer has received everything in front of `received`, and takes bytes up to `limit`.
   *
   * @throws {TunnelError} `protocol` when that cannot be
   */
  acknowledged(received: number, limit: number): void {
    if (limit < this.#limit) throw broken("it took credit back");
    this.#release(received);
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.#onWork();
  }

  /**
   * Starts over on a new path from what the peer has received.
   *
   * @throws {TunnelError} `protocol` when it cannot have received that
   */
  rewind(received: number): void {
    this.#release(received);
    // It may have said more on the path before than when it asked for this one.
    this.#cursor = Math.min(Math.max(received, this.#buffer.start), this.#buffer.end);
    this.#endSent = this.#finished;
    this.#onWork();
  }

  /** Drops everything; who writes learns why. */
  fail(error: TunnelError): void {
    this.#failure ??= error;
    this.#buffer.clear();
    this.#cursor = this.#buffer.end;
    this.#room?.resolve();
    this.#room = undefined;
  }

  get #hasRoom(): boolean {
    const { start, end } = this.#buffer;
    return end - this.#cursor < MAX_UNSENT && end - start < this.#maxHeld;
  }

  #release(received: number): void {
    if (received > this.#highest) throw broken("it acknowledged what was not sent");
    this.#finished ||= this.#ending && received === this.#buffer.end + 1;
    this.#buffer.release(Math.min(received, this.#buffer.end));
    // What the peer still had from the path before need not be sent again.
    this.#cursor = Math.max(this.#cursor, this.#buffer.start);
    this.#makeRoom();
  }

  #makeRoom(): void {
    if (!this.#room || !this.#hasRoom) return;
    this.#room.resolve();
    this.#room = undefined;
  }
}

function broken(state: string): TunnelError {
  return new TunnelError("protocol", {
    action: "use the channel",
    state: `the other end broke the rules: ${state}`,
  });
}

function misuse(): TunnelError {
  return new TunnelError("usage", {
    action: "write to the channel",
    state: "its outgoing direction is closed",
  });
}
