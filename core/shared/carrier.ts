/** The service's end of a shared channel: opens connections in it for as long as it should. */

import type { Duplex } from "../duplex.ts";
import type { TunnelError } from "../errors.ts";
import type { Multiplexed } from "../mux/session.ts";
import { shareChannel } from "./session.ts";
import { AskingStream } from "./shared_stream.ts";

/** Milliseconds for which a channel without a connection is kept by default. */
const IDLE = 10_000;
/**
 * Bytes of one connection that make it a bulky one. What is behind it in the channel waits for it, so no
 * other joins it.
 */
export const BULKY = 256 * 1024;

export interface CarrierOptions {
  /** Milliseconds for which it is kept without a connection; default 10,000. */
  idleTime?: number;
  /** Called when a connection has become a bulky one. */
  onBulky?: () => void;
}

/** What a carrier is made of. */
export interface SharedChannel extends Duplex {
  /** It waits for a path: what is written now leaves when there is one, or never. */
  readonly isDetached?: boolean;
}

/** A channel that carries connections to one target. */
export class Carrier {
  readonly #channel: SharedChannel;
  readonly #session: Multiplexed;
  readonly #connections = new Set<CarriedConnection>();
  #bulky = 0;
  #isOver = false;
  readonly #idleTime: number;
  readonly #onBulky: () => void;
  #idle?: ReturnType<typeof setTimeout>;

  /** @param channel owned from now on */
  constructor(
    channel: SharedChannel,
    { idleTime = IDLE, onBulky = () => {} }: CarrierOptions = {},
  ) {
    this.#channel = channel;
    this.#idleTime = idleTime;
    this.#onBulky = onBulky;
    // The device opens none.
    this.#session = shareChannel(channel, "client", 0);
    const end = () => {
      this.#isOver = true;
      clearTimeout(this.#idle);
    };
    this.#session.closed.then(end, end);
    this.#rest();
  }

  /** Fulfils when the device is ready for connections; rejects when the channel ends before. */
  get ready(): Promise<void> {
    return this.#session.greeted;
  }

  /** True when one more connection would do well in it. */
  get hasRoom(): boolean {
    if (this.#isOver || this.#channel.isDetached) return false;
    return this.#bulky === 0 && this.#session.places > 0;
  }

  /** True while its channel waits for a path. */
  get isDetached(): boolean {
    return !this.#isOver && this.#channel.isDetached === true;
  }

  /** True when it takes no connection any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Opens a connection; call it when there is room. It is there at once: whether the device could make
   * it, its first read says.
   *
   * @param action what is being done, for errors
   * @param early bytes to go first; they are taken at once
   * @throws {TunnelError} `aborted`, or why the channel has ended
   */
  async open(action: string, early?: Uint8Array, signal?: AbortSignal): Promise<Duplex> {
    const stream = await this.#session.openStream({ signal });
    clearTimeout(this.#idle);
    const connection = new CarriedConnection(new AskingStream(stream, action, early), {
      bulky: () => {
        this.#bulky++;
        this.#onBulky();
      },
      over: (wasBulky) => {
        this.#connections.delete(connection);
        if (wasBulky) this.#bulky--;
        if (this.#connections.size === 0) this.#rest();
      },
    });
    this.#connections.add(connection);
    return connection;
  }

  /** Takes no connection any more, and ends when the last has ended. */
  retire(): void {
    this.#isOver = true;
    if (this.#connections.size === 0) this.#session.close();
  }

  #rest(): void {
    if (this.#isOver) return this.#session.close();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.retire(), this.#idleTime);
  }
}

/** A connection in the channel, which says once when it is bulky, and when it is over. */
class CarriedConnection implements Duplex {
  readonly #stream: Duplex;
  readonly #on: { bulky: () => void; over: (wasBulky: boolean) => void };
  #bytes = 0;
  #directions = 2;

  constructor(stream: Duplex, on: { bulky: () => void; over: (wasBulky: boolean) => void }) {
    this.#stream = stream;
    this.#on = on;
  }

  async read(): Promise<Uint8Array | null> {
    const bytes = await this.#orEnd(this.#stream.read());
    if (bytes) this.#count(bytes.length);
    else this.#end(1);
    return bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#orEnd(this.#stream.write(bytes));
    this.#count(bytes.length);
  }

  async closeWrite(): Promise<void> {
    await this.#orEnd(this.#stream.closeWrite());
    this.#end(1);
  }

  reset(error: TunnelError): void {
    this.#stream.reset(error);
    this.#end(2);
  }

  async #orEnd<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      this.#end(2);
      throw cause;
    }
  }

  #count(bytes: number): void {
    const before = this.#bytes;
    this.#bytes += bytes;
    if (before <= BULKY && this.#bytes > BULKY && this.#directions > 0) this.#on.bulky();
  }

  #end(directions: number): void {
    if (this.#directions === 0) return;
    this.#directions = Math.max(0, this.#directions - directions);
    if (this.#directions === 0) this.#on.over(this.#bytes > BULKY);
  }
}
