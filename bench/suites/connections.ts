/** How many short connections pass in a second: opened, one byte echoed, closed. */

import { encodeOrder, Order, ORDER_LENGTH, readFull, writeAll } from "../target.ts";
import { type Case, onField, withConnections } from "./suite.ts";

/** How many connections are made in all, by how many are open at once. */
const COUNTS: readonly { atOnce: number; count: number; quick: number }[] = [
  { atOnce: 1, count: 300, quick: 100 },
  { atOnce: 64, count: 1_500, quick: 600 },
];
const WARM_UP = 100;
/** A byte for the echo, in one write with the order for it. */
const REQUEST = new Uint8Array(ORDER_LENGTH + 1);
REQUEST.set(encodeOrder(Order.echo));

export const connections = onField(({ quick }) =>
  COUNTS.map(({ atOnce, ...counts }): Case => {
    const count = quick ? counts.quick : counts.count;
    return {
      name: `connections, ${atOnce} at once`,
      metrics: [{ name: "", unit: "1/s", better: "more" }],
      async warmUp({ port }) {
        await open(port, atOnce, Math.max(atOnce, WARM_UP));
      },
      async run({ port }) {
        return [count / await open(port, atOnce, count)];
      },
    };
  })
);

/** Makes the connections and says how many seconds that took. */
async function open(port: number, atOnce: number, count: number): Promise<number> {
  const began = performance.now();
  let left = count;
  const worker = async () => {
    while (left-- > 0) {
      try {
        await withConnections("open a connection", port, async (connect) => {
          const conn = await connect();
          await writeAll(conn, REQUEST);
          await readFull(conn, new Uint8Array(1));
        });
      } catch (error) {
        left = 0; // The run has failed: the other workers are not to load the next one.
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return (performance.now() - began) / 1_000;
}
