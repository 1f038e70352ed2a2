/**
 * What a connection to a device's `bench` target begins with (docs/PROTOCOL.md, section 5.1):
 *
 *     u8 order | u64 bytes (big-endian)
 *
 *     0 echo      everything comes back, to the end
 *     1 take      so many bytes follow, and are answered with one, which is 0
 *     2 give      so many bytes come, then the end
 */

import { TunnelError } from "../errors.ts";

export const Order = { echo: 0, take: 1, give: 2 } as const;

export type Order = (typeof Order)[keyof typeof Order];

export const ORDER_LENGTH = 9;
/** The most that one order moves: 1 TiB. */
export const MAX_BYTES = 2 ** 40;

/** @param bytes 0 to {@linkcode MAX_BYTES}; an echo has none to count */
export function encodeOrder(order: Order, bytes = 0): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(ORDER_LENGTH);
  head[0] = order;
  new DataView(head.buffer).setBigUint64(1, BigInt(bytes));
  return head;
}

/**
 * @param head {@linkcode ORDER_LENGTH} bytes
 * @throws {TunnelError} `protocol`
 */
export function decodeOrder(head: Uint8Array): { order: Order; bytes: number } {
  const order = Object.values(Order).find((one) => one === head[0]);
  const bytes = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(1));
  if (order === Order.echo) return { order, bytes: 0 };
  if (order !== undefined && bytes <= MAX_BYTES) return { order, bytes };
  throw new TunnelError("protocol", {
    action: "serve the bench target",
    state: order === undefined ? `there is no order ${head[0]}` : "an order moves 1 TiB at most",
  });
}
