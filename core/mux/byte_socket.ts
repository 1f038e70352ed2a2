/** The multiplexer over a connection of bytes: a message is whatever whole frames have come. */

import { concat } from "../bytes.ts";
import { withDeadline } from "../deadline.ts";
import type { Duplex } from "../duplex.ts";
import { TunnelError } from "../errors.ts";
import { HEADER_SIZE, wholeFrames } from "./frame.ts";
import { MAX_MESSAGE } from "./batch.ts";
import type { MessageSocket } from "./message_socket.ts";

/** Milliseconds that the peer may take to end its direction too. */
const CLOSE_TIMEOUT = 3_000;

export class ByteSocket implements MessageSocket {
  readonly headroom = 0;
  readonly nagle = false;
  readonly #bytes: Duplex;
  /** The beginning of a frame whose rest is yet to come. */
  #rest: Uint8Array = EMPTY;
  /** Resolved when nothing more comes. */
  readonly #ended = Promise.withResolvers<void>();
  #isEnded = false;
  #isClosed = false;

  /** @param bytes owned from now on */
  constructor(bytes: Duplex) {
    this.#bytes = bytes;
  }

  send(message: Uint8Array): Promise<void> {
    return this.#bytes.write(message);
  }

  async receive(): Promise<Uint8Array | null> {
    try {
      for (;;) {
        const chunk = await this.#bytes.read();
        if (chunk === null) break;
        const bytes = this.#rest.length > 0 ? concat([this.#rest, chunk]) : chunk;
        const whole = wholeFrames(bytes);
        // What was read is overwritten by the next read.
        this.#rest = bytes.slice(whole);
        if (this.#rest.length >= HEADER_SIZE + MAX_MESSAGE) throw tooLong();
        if (whole > 0) return bytes.subarray(0, whole);
      }
      if (this.#rest.length > 0) throw cutOff();
      this.#end();
      return null;
    } catch (cause) {
      this.#end();
      throw cause;
    }
  }

  async close(): Promise<void> {
    const bound = { action: "close the session", timeout: CLOSE_TIMEOUT };
    try {
      await withDeadline(bound, async () => {
        await this.#bytes.closeWrite();
        this.#isClosed = true;
        await this.#ended.promise;
      });
    } catch {
      // The peer does not play along, and the connection is to be reset.
    }
  }

  abort(): void {
    if (this.#isClosed && this.#isEnded) return;
    const state = "its session was given up";
    this.#bytes.reset(new TunnelError("reset", { action: "use the connection", state }));
  }

  #end(): void {
    this.#isEnded = true;
    this.#ended.resolve();
  }
}

const EMPTY = new Uint8Array(0);

function cutOff(): TunnelError {
  return new TunnelError("reset", {
    action: "read from the peer",
    state: "the connection ended inside a frame",
  });
}

function tooLong(): TunnelError {
  return new TunnelError("protocol", {
    action: "read from the peer",
    state: `a frame has more than ${MAX_MESSAGE} bytes`,
  });
}
