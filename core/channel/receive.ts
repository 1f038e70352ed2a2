/** The receiving direction of a channel: what has come, what was read, and what may still be sent. */

import { giveBlock } from "../blocks.ts";
import { concat } from "../bytes.ts";
import { TunnelError } from "../errors.ts";
import type { WindowBudget } from "./budget.ts";
import type { Companion } from "./company.ts";
import { WindowGrowth } from "./window_growth.ts";

/** Pieces that a full queue has before they are joined into one. */
const MAX_QUEUED = 512;
/**
 * Bytes read after which the peer is told at the latest, however large the window: it holds them
 * until then, and may have room for little more.
 */
export const MAX_UNCONFIRMED = 512 * 1024;
/**
 * The part of its first window that a channel has on a short way while somebody waits for another:
 * measured as what keeps the 99th percentile of round trips within five times that without a load.
 */
const MODEST = 3 / 4;

export interface ReceiveOptions {
  /** Bytes that the peer may send at first, and at most at any time. */
  window: number;
  maxWindow: number;
  budget: WindowBudget;
  companion: Companion;
  /** Called whenever the peer should be told {@linkcode ReceiveSide.position} and `limit`. */
  onGrant: () => void;
  growth?: WindowGrowth;
}

/**
 * Holds received bytes until they are read, and grants credit as they are. The window doubles when
 * the sender ran out of credit although everything it had sent was read: then the window, not the
 * reader, is what limits the channel. Where the way itself is full, a larger window would only have
 * everybody's bytes wait there; and on a short way less than the first window is enough while
 * somebody waits for another channel. What all windows grow by together has a bound.
 */
export class ReceiveSide {
  readonly #queue: Uint8Array[] = [];
  /** What was read last. */
  #given: Uint8Array = EMPTY;
  readonly #firstWindow: number;
  readonly #maxWindow: number;
  readonly #budget: WindowBudget;
  readonly #companion: Companion;
  readonly #onGrant: () => void;
  readonly #growth: WindowGrowth;
  /** Taken from the budget: in all, and last. */
  #taken = 0;
  #step = 0;
  #window: number;
  #granted: number;
  #received = 0;
  #delivered = 0;
  /** What was delivered when the peer was last told. */
  #confirmed = 0;
  #senderBlocked = false;
  #ended = false;
  #failure?: TunnelError;
  #waiting?: PromiseWithResolvers<void>;

  constructor({ window, maxWindow, budget, companion, onGrant, growth }: ReceiveOptions) {
    this.#growth = growth ?? new WindowGrowth();
    this.#budget = budget;
    this.#companion = companion;
    this.#firstWindow = window;
    this.#window = window;
    this.#granted = window;
    this.#maxWindow = Math.max(window, maxWindow);
    this.#onGrant = onGrant;
  }

  /** Bytes received; one more once the end has been received too. */
  get position(): number {
    return this.#received + (this.#ended ? 1 : 0);
  }

  /** Bytes that the peer may send in all. */
  get limit(): number {
    return this.#granted;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Takes bytes, in memory of their own, of which the first has this position. What was received
   * before is dropped: after a change of paths the peer repeats what it is not sure of.
   *
   * @throws {TunnelError} `protocol` on a gap, on bytes beyond the credit or behind the end
   */
  push(position: number, bytes: Uint8Array, senderBlocked: boolean): void {
    if (position > this.#received) throw broken("it left bytes out");
    const end = position + bytes.length;
    if (this.#ended && end > this.#received) throw broken("it sent data behind its end");
    if (end > this.#granted) throw broken("it sent more than it was allowed to");
    this.#senderBlocked ||= senderBlocked;
    if (end <= this.#received) return;
    if (senderBlocked) this.#companion.filled();
    this.#companion.spoke();
    this.#queue.push(bytes.subarray(this.#received - position));
    this.#received = end;
    this.#growth.received(end);
    // Credit bounds the bytes; this bounds what a sender of tiny records costs beside them.
    if (this.#queue.length > MAX_QUEUED) {
      this.#queue.splice(0, this.#queue.length, concat(this.#queue));
    }
    this.#waiting?.resolve();
  }

  /** @throws {TunnelError} `protocol` when the peer counts other bytes than came */
  end(total: number): void {
    if (total !== this.#received) {
      throw broken(`it sent ${total} bytes, ${this.#received} have come`);
    }
    this.#ended = true;
    this.#waiting?.resolve();
  }

  /** Whatever was not read is dropped: a reset overtakes data, as in TCP. */
  fail(error: TunnelError): void {
    this.#failure ??= error;
    this.#queue.length = 0;
    this.#waiting?.resolve();
  }

  async read(): Promise<Uint8Array | null> {
    giveBlock(new Uint8Array(this.#given.buffer as ArrayBuffer));
    this.#given = EMPTY;
    for (;;) {
      if (this.#failure) throw this.#failure;
      const bytes = this.#queue.shift();
      if (bytes) {
        this.#deliver(bytes.length);
        this.#given = bytes;
        return bytes;
      }
      if (this.#ended) return null;
      this.#waiting ??= Promise.withResolvers();
      await this.#waiting.promise;
      this.#waiting = undefined;
    }
  }

  /** It goes on over another path. */
  moved(): void {
    this.#growth.forget();
  }

  /** Gives back what the window took to grow; the channel is over. */
  release(): void {
    this.#budget.give(this.#taken);
    this.#taken = 0;
  }

  #resize(): void {
    const most = Math.min(this.#window, this.#maxWindow - this.#window);
    if (most <= 0 && this.#step === 0) return; // At its largest, and not on trial.
    const advice = this.#growth.advise(this.#window);
    if (advice === "stay") return;
    if (advice === "shrink") this.#budget.give(this.#step);
    else if (most <= 0 || !this.#budget.take(most)) {
      this.#step = 0; // Nothing is on trial.
      return;
    }
    const by = advice === "grow" ? most : -this.#step;
    this.#taken += by;
    this.#window += by;
    this.#step = Math.max(0, by);
  }

  #deliver(length: number): void {
    this.#delivered += length;
    if (this.#ended) return;
    const yields = this.#growth.isShort && this.#companion.hasCompany;
    if (this.#senderBlocked && this.#queue.length === 0) {
      this.#senderBlocked = false;
      if (!yields) this.#resize();
    }
    const window = yields ? this.#firstWindow * MODEST : this.#window;
    const limit = Math.max(this.#granted, this.#delivered + window);
    // In quarters, so that the sender has three to go on with while one is on its way. Credit that was
    // given is not taken back, but the sender learns of what has come all the same.
    const isDue = limit - this.#granted >= Math.min(window / 4, MAX_UNCONFIRMED);
    if (!isDue && this.#delivered - this.#confirmed < MAX_UNCONFIRMED) return;
    this.#growth.granted(this.#granted, yields);
    this.#granted = limit;
    this.#confirmed = this.#delivered;
    this.#onGrant();
  }
}

const EMPTY = new Uint8Array(0);

function broken(state: string): TunnelError {
  return new TunnelError("protocol", {
    action: "read the channel",
    state: `the other end broke the rules: ${state}`,
  });
}
