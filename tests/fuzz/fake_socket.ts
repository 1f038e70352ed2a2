/** A message socket whose other end is a script. */

import type { MessageSocket } from "../../core/mux/message_socket.ts";

export class FakeSocket implements MessageSocket {
  readonly headroom = 16;
  readonly nagle = false;
  /** Messages that the session has sent and the script has not taken. */
  readonly sent: Uint8Array[] = [];
  closeCode?: number;
  ended = false;
  #held?: PromiseWithResolvers<void>;
  readonly #queue: Uint8Array[] = [];
  #wake?: () => void;

  // What a session calls.

  async send(message: Uint8Array): Promise<void> {
    if (this.ended) throw new Error("the socket has ended");
    this.sent.push(message.slice());
    // What was handed over is the socket's to change.
    message.fill(0xee);
    await this.#held?.promise;
  }

  async receive(): Promise<Uint8Array | null> {
    for (;;) {
      const message = this.#queue.shift();
      if (message) return message;
      if (this.ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  close(code: number): Promise<void> {
    this.closeCode ??= code;
    this.#end();
    return Promise.resolve();
  }

  abort(): void {
    this.#end();
  }

  // What a script calls.

  get holding(): boolean {
    return this.#held !== undefined;
  }

  /** Takes no more than the message that is under way. */
  hold(): void {
    this.#held ??= Promise.withResolvers();
  }

  release(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  say(message: Uint8Array): void {
    this.#queue.push(message);
    this.#wake?.();
  }

  /** Ends it as a lost connection would. */
  lose(): void {
    this.#end();
  }

  #end(): void {
    this.ended = true;
    this.release();
    this.#wake?.();
  }
}
