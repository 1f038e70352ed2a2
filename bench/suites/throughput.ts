/** How fast bytes move: up to the device and down from it, over one connection and over eight. */

import { encodeOrder, give, Order, readFull, take, writeAll } from "../target.ts";
import { type Case, onField, withConnections } from "./suite.ts";

const MIB = 1024 * 1024;
const STREAMS = [1, 8];
/** The part of a run's bytes that a warm-up moves. */
const WARM_UP = 1 / 8;

export const throughput = onField(({ quick }) => {
  const bytes = (quick ? 128 : 512) * MIB;
  return (["up", "down"] as const).flatMap((direction) =>
    STREAMS.map((streams): Case => ({
      name: `${direction}, ${streams} ${streams === 1 ? "stream" : "streams"}`,
      metrics: [{ name: "", unit: "MiB/s", better: "more" }],
      async warmUp({ port }) {
        await move(port, direction, streams, bytes * WARM_UP);
      },
      async run({ port }) {
        return [bytes / MIB / await move(port, direction, streams, bytes)];
      },
    }))
  );
});

/** Moves the bytes, in equal parts, and says how many seconds that took. */
async function move(
  port: number,
  direction: "up" | "down",
  streams: number,
  bytes: number,
): Promise<number> {
  const action = `move ${bytes / MIB} MiB ${direction}`;
  return await withConnections(action, port, async (connect) => {
    const conns = await Promise.all(Array.from({ length: streams }, connect));
    const began = performance.now();
    await Promise.all(conns.map((conn) => carry[direction](conn, bytes / streams)));
    return (performance.now() - began) / 1_000;
  });
}

/** Each ends when the reader has read everything, and no sooner. */
const carry = {
  async up(conn: Deno.TcpConn, bytes: number): Promise<void> {
    await writeAll(conn, encodeOrder(Order.take, bytes));
    await give(conn, bytes);
    await readFull(conn, new Uint8Array(1));
  },

  async down(conn: Deno.TcpConn, bytes: number): Promise<void> {
    await writeAll(conn, encodeOrder(Order.give, bytes));
    await take(conn, bytes);
  },
};
