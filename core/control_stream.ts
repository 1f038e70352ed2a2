/** A stream of messages with a schema at each end; the form of control streams and dials. */

import type * as v from "valibot";
import type { BlockReader } from "./block_reader.ts";
import { ByteReader } from "./bytes.ts";
import { ByteWriter } from "./byte_writer.ts";
import { untilAborted, withDeadline } from "./deadline.ts";
import { toTunnelError, TunnelError } from "./errors.ts";
import { encodeMessage, MAX_MESSAGE, readMessage } from "./message.ts";
import type { Stream } from "./transport.ts";

/** How a message is awaited. */
export interface ReceiveOptions {
  /** What the message is for; the action of an error. */
  action: string;
  /** Milliseconds; without it the wait lasts as long as the stream. */
  timeout?: number;
  /** Bytes of JSON, at most; default 64 KiB. */
  limit?: number;
  signal?: AbortSignal;
}

/** A stream that is read in blocks. */
export interface ByteStream {
  readonly reader: BlockReader;
  readonly writer: ByteWriter;
}

/** Sends and receives messages on a stream, and hands the stream on when they are done. */
export class MessageStream {
  readonly #reader: ByteReader;
  readonly #writer: ByteWriter;

  constructor(stream: Stream) {
    this.#reader = new ByteReader(stream);
    this.#writer = new ByteWriter(stream);
  }

  /** Bytes that have come of the other end, those of its messages and any behind them. */
  get received(): number {
    return this.#reader.received;
  }

  /**
   * Settles when a message or the end begins to come; never rejects. Receiving waits too, but in
   * several calls, which is memory where thousands of streams say nothing for long.
   */
  arrival(): Promise<void> {
    return this.#reader.arrival().then(ignore, ignore);
  }

  /** @throws {TunnelError} `reset` when the stream has failed */
  async send(message: unknown): Promise<void> {
    try {
      await this.#writer.write(encodeMessage(message));
    } catch (cause) {
      throw toTunnelError(cause, "send a message", "reset");
    }
  }

  /**
   * The next message; null at the end of the stream.
   *
   * @throws {TunnelError} `timeout`, `aborted`, `protocol`, `reset`
   */
  async receiveOrEnd<S extends v.GenericSchema>(
    schema: S,
    options: ReceiveOptions,
  ): Promise<v.InferOutput<S> | null> {
    const { action, timeout, limit = MAX_MESSAGE, signal } = options;
    const reading = () => readMessage(this.#reader, schema, { action, limit });
    try {
      // Without bounds as few calls wait as can be: a control stream is read for as long as it lasts.
      if (timeout === undefined && !signal) return await reading();
      if (timeout === undefined) return await untilAborted(reading(), signal, action);
      return await withDeadline({ action, timeout, signal }, reading);
    } catch (cause) {
      throw toTunnelError(cause, action, "reset");
    }
  }

  /** The next message, where an end of the stream is an error too. */
  async receive<S extends v.GenericSchema>(
    schema: S,
    options: ReceiveOptions,
  ): Promise<v.InferOutput<S>> {
    const message = await this.receiveOrEnd(schema, options);
    if (message !== null) return message;
    throw new TunnelError("reset", {
      action: options.action,
      state: "the other end closed the stream without a word",
    });
  }

  /**
   * Runs work for which the other end waits and says nothing: the work's signal fires when it leaves,
   * or speaks all the same.
   *
   * @throws {TunnelError} `aborted` or `protocol` when that comes first; what `work` threw
   */
  async meanwhile<T>(action: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const watch = new AbortController();
    const disturb = (error: TunnelError): never => {
      stop.abort(error);
      throw error;
    };
    const disturbed = this.#reader.ready(watch.signal).then(
      (spoke) => disturb(spoke ? interrupted(action) : left(action)),
      (cause) => disturb(left(action, cause)),
    );
    try {
      return await Promise.race([work(stop.signal), disturbed]);
    } finally {
      // From here on the stream may be read again.
      watch.abort();
    }
  }

  /** Gives up the stream, for copying from where its messages ended. */
  detach(): ByteStream {
    return { reader: this.#reader.detach(), writer: this.#writer };
  }

  /** Ends both directions in order, after what was sent. Never rejects. */
  async close(): Promise<void> {
    const closing = this.#writer.close().catch(() => {}); // Already failed: nothing left to end.
    await Promise.all([closing, this.#reader.cancel()]);
  }
}

/** One for all: what came, or failed, is received again. */
function ignore(): void {}

function left(action: string, cause?: unknown): TunnelError {
  return new TunnelError("aborted", { action, state: "the other end has given it up", cause });
}

function interrupted(action: string): TunnelError {
  return new TunnelError("protocol", {
    action,
    state: "the other end speaks before it is answered",
  });
}
