/** The channels of a device: which there are, whose, and until when they wait for a path. */

import { TunnelError } from "../errors.ts";
import type { Channel } from "./channel.ts";

/** A channel with what must be shown to attach to it again. */
export interface Held {
  readonly channel: Channel;
  /** base64url, from the handshake that opened it. */
  readonly id: string;
  /** Shared with the operator's end alone. */
  readonly secret: Uint8Array;
  /** The operator's public key for channels. */
  readonly operatorKey: string;
  /** What was dialled, as text. */
  readonly target: string;
  /** The number of the last attempt to attach that was let in. */
  attempt: number;
  /** Names the hello that opened it or attached it last; see `freshness.ts`. */
  hello: string;
}

export class ChannelTable {
  readonly #window: number;
  readonly #held = new Map<string, Held>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

  /** @param window milliseconds that a channel without a path is kept */
  constructor(window: number) {
    this.#window = window;
  }

  get size(): number {
    return this.#held.size;
  }

  find(id: string): Held | undefined {
    return this.#held.get(id);
  }

  /** The one that this hello opened or attached last. */
  findByHello(hello: string): Held | undefined {
    for (const held of this.#held.values()) if (held.hello === hello) return held;
  }

  /** Keeps a channel until its peer needs it no more. */
  add(held: Held): void {
    const { id, channel } = held;
    this.#held.set(id, held);
    channel.released.then(() => {
      this.attached(id);
      this.#held.delete(id);
    });
  }

  /** The channel has lost its path: the window begins. */
  detached(id: string): void {
    const held = this.#held.get(id);
    if (!held) return;
    this.attached(id);
    const expire = () => held.channel.abandon(expired(this.#window));
    this.#timers.set(id, setTimeout(expire, this.#window));
  }

  /** The channel is on a path, or over: nothing is waited for. */
  attached(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  [Symbol.iterator](): Iterator<Held> {
    return this.#held.values();
  }
}

function expired(window: number): TunnelError {
  return new TunnelError("reset", {
    action: "use the channel",
    state: `the other end did not come back within ${Math.round(window / 1_000)} s`,
  });
}
