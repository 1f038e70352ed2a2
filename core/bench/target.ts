/** The target inside a device that `tunnel bench` dials: it echoes, takes or gives bytes. */

import type { Duplex } from "../duplex.ts";
import { TunnelError } from "../errors.ts";
import { BENCH } from "../names.ts";
import type { TargetConnector } from "../offer.ts";
import { decodeOrder, Order, ORDER_LENGTH } from "./order.ts";

/** Bytes of one read at most. */
const BLOCK = 128 * 1024;

/** Has dials to {@linkcode BENCH} end in this process, and all others as `connect` has them. */
export function withBench(connect: TargetConnector): TargetConnector {
  return (address, signal, permit) =>
    address.hostname === BENCH.host && address.port === BENCH.port
      ? Promise.resolve(new BenchTarget())
      : connect(address, signal, permit);
}

/** One connection. It holds one chunk at most, and that only until its echo has been read. */
export class BenchTarget implements Duplex {
  readonly #head = new Uint8Array(ORDER_LENGTH);
  #filled = 0;
  #order: Order | undefined;
  /** Bytes that are still to be taken or given. */
  #left = 0;
  #answered = false;
  #inputEnded = false;
  /** What waits to be echoed; `isOut` once a read has returned it. */
  #echo: { bytes: Uint8Array; settle: PromiseWithResolvers<void>; isOut: boolean } | undefined;
  #changed = Promise.withResolvers<void>();
  #failure: TunnelError | undefined;

  async read(): Promise<Uint8Array | null> {
    // The reader is done with what it got last, so its writer may use the memory again.
    if (this.#echo?.isOut) {
      this.#echo.settle.resolve();
      this.#echo = undefined;
    }
    for (;;) {
      if (this.#failure) throw this.#failure;
      const next = this.#next();
      if (next !== undefined) return next;
      await this.#changed.promise;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure;
    const rest = bytes.subarray(this.#readOrder(bytes));
    if (rest.length === 0) return;
    if (this.#order === Order.echo) return await this.#hold(rest);
    if (this.#order !== Order.take || rest.length > this.#left) {
      throw violation("more bytes came than the order has");
    }
    this.#left -= rest.length;
    if (this.#left === 0) this.#wake();
  }

  // deno-lint-ignore require-await -- what it throws is to be a rejection
  async closeWrite(): Promise<void> {
    if (this.#filled > 0 && this.#order === undefined) throw violation("an order was cut off");
    if (this.#order === Order.take && this.#left > 0) {
      throw violation(`the input ended ${this.#left} bytes early`);
    }
    this.#inputEnded = true;
    this.#wake();
  }

  reset(error: TunnelError): void {
    this.#failure ??= error;
    this.#echo?.settle.reject(error);
    this.#echo = undefined;
    this.#wake();
  }

  /** What can be read now; undefined when that is nothing yet. */
  #next(): Uint8Array | null | undefined {
    switch (this.#order) {
      case Order.give: {
        const count = Math.min(BLOCK, this.#left);
        this.#left -= count;
        return count === 0 ? null : DATA.subarray(0, count);
      }
      case Order.take:
        if (this.#left > 0) return undefined;
        if (this.#answered) return null;
        this.#answered = true;
        return new Uint8Array(1);
      default:
        if (this.#echo) {
          this.#echo.isOut = true;
          return this.#echo.bytes;
        }
        return this.#inputEnded ? null : undefined;
    }
  }

  /** How many of these bytes belong to the order. */
  #readOrder(bytes: Uint8Array): number {
    const part = bytes.subarray(0, ORDER_LENGTH - this.#filled);
    this.#head.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#order === undefined && this.#filled === ORDER_LENGTH) {
      const { order, bytes } = decodeOrder(this.#head);
      this.#order = order;
      this.#left = bytes;
      this.#wake();
    }
    return part.length;
  }

  async #hold(bytes: Uint8Array): Promise<void> {
    const settle = Promise.withResolvers<void>();
    this.#echo = { bytes, settle, isOut: false };
    this.#wake();
    await settle.promise;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function violation(state: string): TunnelError {
  return new TunnelError("protocol", { action: "serve the bench target", state });
}

// Random, so that nothing on the way can make it smaller.
const DATA = new Uint8Array(BLOCK);
for (let at = 0; at < BLOCK; at += 65_536) crypto.getRandomValues(DATA.subarray(at, at + 65_536));
