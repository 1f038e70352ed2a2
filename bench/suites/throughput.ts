/** How fast bytes move: up to the device, down from it, and both ways at once. */

import { encodeOrder, give, Order, readFull, take, writeAll } from "../target.ts";
import { type Case, onField, withConnections } from "./suite.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const STREAMS = [1, 8, 64];
/** Bytes that are written at once. */
const WRITES = [64 * KIB, MIB];
/** The part of a run's bytes that a warm-up moves. */
const WARM_UP = 1 / 8;

type Direction = "up" | "down" | "both";

export const throughput = onField(({ quick }) => {
  const bytes = (quick ? 128 : 512) * MIB;
  return (["up", "down", "both"] as const).flatMap((direction) =>
    (quick ? STREAMS.slice(0, 2) : STREAMS).flatMap((streams) =>
      (quick ? WRITES.slice(0, 1) : WRITES).map((write): Case => ({
        name: [
          direction,
          `${streams} ${streams === 1 ? "stream" : "streams"}`,
          `${write === MIB ? "1 MiB" : `${write / KIB} KiB`} writes`,
        ].join(", "),
        metrics: [{ name: "", unit: "Mbit/s", better: "more" }],
        moves: bytes,
        async warmUp({ port }) {
          await move(port, direction, streams, bytes * WARM_UP, write);
        },
        async run({ port }) {
          return [bytes * 8 / 1e6 / await move(port, direction, streams, bytes, write)];
        },
      }))
    )
  );
});

/** Moves the bytes, in equal parts, and says how many seconds that took. */
async function move(
  port: number,
  direction: Direction,
  streams: number,
  bytes: number,
  write: number,
): Promise<number> {
  const action = `move ${bytes / MIB} MiB ${direction}`;
  return await withConnections(action, port, async (connect) => {
    const conns = await Promise.all(Array.from({ length: streams }, connect));
    const began = performance.now();
    await Promise.all(conns.map((conn) => carry[direction](conn, bytes / streams, write)));
    return (performance.now() - began) / 1_000;
  });
}

/** Each ends when the reader has read everything, and no sooner. */
const carry: Record<
  Direction,
  (conn: Deno.TcpConn, bytes: number, write: number) => Promise<void>
> = {
  async up(conn, bytes, write) {
    await writeAll(conn, encodeOrder(Order.take, bytes));
    await give(conn, bytes, write);
    await readFull(conn, new Uint8Array(1));
  },

  async down(conn, bytes, write) {
    await writeAll(conn, encodeOrder(Order.give, bytes, write));
    await take(conn, bytes);
  },

  /** Half of the bytes each way. */
  async both(conn, bytes, write) {
    await writeAll(conn, encodeOrder(Order.exchange, bytes / 2, write));
    // The last byte is the answer: the target has everything.
    await Promise.all([give(conn, bytes / 2, write), take(conn, bytes / 2 + 1)]);
  },
};
