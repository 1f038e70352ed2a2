/**
 * Connections in a shared channel: streams of its multiplexer, each with a first byte either way.
 *
 *     service → device   0              connect to the target of the dial
 *     device  → service  0              it is connected
 *                        1 | message    it is refused, and why (`Refused`); nothing follows
 *
 * The service's leaves at once, with what has come of the program by then; the device's with the first
 * bytes of the target, so that it costs nothing.
 */

import { BlockReader } from "../block_reader.ts";
import { ByteWriter } from "../byte_writer.ts";
import { concat } from "../bytes.ts";
import { Refused } from "../control.ts";
import type { Duplex } from "../duplex.ts";
import { toTunnelError, TunnelError } from "../errors.ts";
import { decodeMessage, encodeMessage, MAX_GREETING } from "../message.ts";
import { fromRefusal, toRefusal } from "../refusal.ts";
import type { Stream } from "../transport.ts";

const CONNECT = Uint8Array.of(0);
const CONNECTED = Uint8Array.of(0);
const REFUSED = Uint8Array.of(1);
const NOTHING = new Uint8Array(0);

/** What both ends have in common. */
abstract class SharedStream implements Duplex {
  protected readonly reader: BlockReader;
  protected readonly writer: ByteWriter;
  #begun = false;

  constructor(stream: Stream, protected readonly action: string) {
    this.reader = new BlockReader(stream);
    this.writer = new ByteWriter(stream);
  }

  async read(): Promise<Uint8Array | null> {
    if (this.#begun) return await this.reader.read();
    const first = await this.reader.read();
    if (first === null) throw this.broken("the other end has ended it without a word");
    if (first[0] !== 0) throw await this.failure(first);
    this.#begun = true;
    return first.length > 1 ? first.subarray(1) : await this.reader.read();
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.writer.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.writer.close();
  }

  reset(error: TunnelError): void {
    this.writer.abort(error);
    this.reader.cancel(error);
  }

  /** What it means that the other end does not begin with 0. */
  protected abstract failure(first: Uint8Array): Promise<TunnelError>;

  protected broken(state: string): TunnelError {
    return new TunnelError("protocol", { action: this.action, state });
  }
}

/** The service's end. Its reads reject with why the device has refused it. */
export class AskingStream extends SharedStream {
  /**
   * @param action what is being done, for errors
   * @param early bytes to go first; they are taken at once
   */
  constructor(stream: Stream, action: string, early: Uint8Array = NOTHING) {
    super(stream, action);
    // Who uses the stream meets its failure.
    this.writer.write(concat([CONNECT, early])).catch(() => {});
  }

  protected override async failure(first: Uint8Array): Promise<TunnelError> {
    if (first[0] !== REFUSED[0]) return this.broken("the device's answer is none");
    let message = first.slice(1);
    for (let part; (part = await this.reader.read());) {
      message = concat([message, part]);
      if (message.length > 4 + MAX_GREETING) return this.broken("the device's answer is too long");
    }
    try {
      return fromRefusal(decodeMessage(message.subarray(4), Refused, this.action), this.action);
    } catch (cause) {
      return toTunnelError(cause, this.action, "protocol");
    }
  }
}

/** The device's end. */
export class AnsweringStream extends SharedStream {
  #answered = false;

  override write(bytes: Uint8Array): Promise<void> {
    if (this.#answered) return super.write(bytes);
    this.#answered = true;
    return super.write(concat([CONNECTED, bytes]));
  }

  override async closeWrite(): Promise<void> {
    if (!this.#answered) await this.write(NOTHING);
    await super.closeWrite();
  }

  /** There will be no connection. Never rejects. */
  async refuse(error: unknown): Promise<void> {
    try {
      await this.writer.write(concat([REFUSED, encodeMessage(toRefusal(error))]));
      await this.writer.close();
    } catch {
      // The operator has given it up: there is nobody left to tell.
    }
    await this.reader.cancel(error);
  }

  // deno-lint-ignore require-await -- as of the other end
  protected override async failure(): Promise<TunnelError> {
    return this.broken("the operator's first byte is unknown");
  }
}
