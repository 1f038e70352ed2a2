/** The datagrams of a session. The tunnel's protocol uses none; what nobody reads is dropped. */

/** Datagrams that wait to be read; more are dropped as they come. */
const MOST = 16;

export class Datagrams {
  /** Those that came, in order, some left out. */
  readonly readable: ReadableStream<Uint8Array>;
  readonly #send: (payload: Uint8Array) => Promise<void>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #isOver = false;

  constructor(send: (payload: Uint8Array) => Promise<void>) {
    this.#send = send;
    this.readable = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      cancel: () => void (this.#isOver = true),
    }, { highWaterMark: MOST });
  }

  /** Sends one, which may be lost on the way. Rejects when it does not fit: about 1,150 bytes do. */
  async send(payload: Uint8Array): Promise<void> {
    await this.#send(payload);
  }

  /** One has come. */
  receive(payload: Uint8Array): void {
    if (!this.#isOver && this.#controller.desiredSize! > 0) this.#controller.enqueue(payload);
  }

  /** No more come. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#controller.close();
  }
}
