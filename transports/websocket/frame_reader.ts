/** Reads frames off a byte connection and puts fragmented messages together. */

import { FrameError, type FrameHeader, mask, MAX_CONTROL, Opcode, parseHeader } from "./frame.ts";
import { WebSocketClose } from "../../core/mux/message_socket.ts";
import type { ByteConn } from "./socket.ts";

/** Bytes of the buffer while only small messages come. */
const SMALL_BUFFER = 4 * 1024;
/** Small messages in a row after which a large buffer is given back. */
const QUIET = 64;

export interface ReceivedFrame {
  /** `binary` for a whole message, or a control frame. */
  readonly opcode: number;
  /** Valid until the next call. */
  readonly payload: Uint8Array;
}

export interface FrameReaderOptions {
  /** What the frames must be: masked, or not. */
  masked: boolean;
  maxMessage: number;
  rest?: Uint8Array;
}

export class FrameReader {
  readonly #conn: Pick<ByteConn, "read">;
  readonly #masked: boolean;
  readonly #maxMessage: number;
  #buffer: Uint8Array;
  #start = 0;
  #end: number;
  /** Bytes of the frame that is not complete yet, as far as they are known. */
  #needed = MAX_CONTROL;
  /** The fragments of a message so far. */
  #partial: Uint8Array | undefined;
  #partialLength = 0;
  #quiet = 0;

  constructor(conn: Pick<ByteConn, "read">, options: FrameReaderOptions) {
    this.#conn = conn;
    this.#masked = options.masked;
    this.#maxMessage = options.maxMessage;
    const rest = options.rest ?? new Uint8Array(0);
    this.#buffer = new Uint8Array(Math.max(SMALL_BUFFER, rest.length));
    this.#buffer.set(rest);
    this.#end = rest.length;
  }

  /**
   * The next message or control frame, if all of it has come; else {@linkcode FrameReader.fill} first.
   *
   * @throws {FrameError} when the peer breaks RFC 6455 or sends too much
   */
  take(): ReceivedFrame | undefined {
    for (;;) {
      const header = parseHeader(this.#buffer.subarray(this.#start, this.#end));
      if (header) this.#check(header);
      this.#needed = header ? header.size + header.length : MAX_CONTROL;
      if (!header || this.#end - this.#start < this.#needed) return undefined;
      const frame = this.#consume(header);
      if (frame) return frame;
    }
  }

  /**
   * Reads more; false at the end. Most of what waits on a relay waits here, so it is one promise and
   * no suspended function.
   *
   * @throws what the connection throws
   */
  fill(): Promise<boolean> {
    this.#makeRoom(this.#needed);
    return this.#conn.read(this.#buffer.subarray(this.#end)).then((count) => {
      this.#end += count ?? 0;
      return count !== null;
    });
  }

  /** What depends on the state of the connection; the rest is `parseHeader`'s. */
  #check({ opcode, masked, length }: FrameHeader): void {
    if (masked !== this.#masked) {
      throw refuse(
        masked ? "a frame of the server is masked" : "a frame of the client is not masked",
      );
    }
    if (opcode === Opcode.text) {
      throw new FrameError(WebSocketClose.unsupported, "a text frame came, binary ones are taken");
    }
    if (opcode === Opcode.continuation && !this.#partial) {
      throw refuse("a continuation came without a beginning");
    }
    if (opcode === Opcode.binary && this.#partial) {
      throw refuse("a message began inside another");
    }
    if (opcode <= Opcode.binary && this.#partialLength + length > this.#maxMessage) {
      throw new FrameError(
        WebSocketClose.tooBig,
        `a message has more than ${this.#maxMessage} bytes`,
      );
    }
  }

  /** Consumes a frame that is complete in the buffer; undefined for a fragment. */
  #consume({ final, opcode, masked, size, length }: FrameHeader): ReceivedFrame | undefined {
    const start = this.#start + size;
    const payload = this.#buffer.subarray(start, start + length);
    if (masked) mask(payload, this.#buffer.subarray(start - 4, start));
    this.#start = start + length;
    this.#quiet = length > SMALL_BUFFER / 4 ? 0 : this.#quiet + 1;
    if (opcode >= Opcode.close || (final && opcode === Opcode.binary)) return { opcode, payload };
    this.#append(payload);
    if (!final) return undefined;
    const message = this.#partial!.subarray(0, this.#partialLength);
    this.#partial = undefined;
    this.#partialLength = 0;
    return { opcode: Opcode.binary, payload: message };
  }

  /** Grows by doubling, so that a message in a thousand pieces is not copied a thousand times. */
  #append(payload: Uint8Array): void {
    const length = this.#partialLength + payload.length;
    this.#partial ??= new Uint8Array(0);
    if (this.#partial.length < length) {
      const larger = new Uint8Array(Math.max(length, this.#partial.length * 2, SMALL_BUFFER));
      larger.set(this.#partial.subarray(0, this.#partialLength));
      this.#partial = larger;
    }
    this.#partial.set(payload, this.#partialLength);
    this.#partialLength = length;
  }

  /** Keeps what is held, and has room for a frame of `needed` bytes. */
  #makeRoom(needed: number): void {
    const held = this.#buffer.subarray(this.#start, this.#end);
    const size = this.#sizeFor(needed);
    if (size !== this.#buffer.length) {
      const buffer = new Uint8Array(size);
      buffer.set(held);
      this.#buffer = buffer;
    } else {
      const room = this.#buffer.length - this.#start;
      if (held.length > 0 && room >= needed && this.#end < this.#buffer.length) return;
      this.#buffer.copyWithin(0, this.#start, this.#end);
    }
    this.#start = 0;
    this.#end = held.length;
  }

  /** Twice the largest frame while they come, so that most are read in one piece. */
  #sizeFor(needed: number): number {
    const current = this.#buffer.length;
    if (needed > current) return Math.max(SMALL_BUFFER, 2 ** Math.ceil(Math.log2(needed * 2)));
    const empty = this.#start === this.#end;
    return empty && this.#quiet >= QUIET ? SMALL_BUFFER : current;
  }
}

function refuse(state: string): FrameError {
  return new FrameError(WebSocketClose.protocol, state);
}
