/** How long a small message takes there and back, when nothing else is under way. */

import { encodeOrder, Order, readFull, writeAll } from "../target.ts";
import { median, percentile } from "../statistics.ts";
import { onField, withConnections } from "./suite.ts";

const SIZE = 64;
const ROUND_TRIPS = 2_000;
const WARM_UP = 200;

export const latency = onField(() => [{
  name: `round trip, ${SIZE} bytes`,
  metrics: [
    { name: "median", unit: "µs", better: "less" },
    { name: "p99", unit: "µs", better: "less" },
  ],
  async warmUp({ port }) {
    await roundTrips(port, WARM_UP);
  },
  async run({ port }) {
    const all = await roundTrips(port, ROUND_TRIPS);
    return [median(all), percentile(all, 0.99)];
  },
}]);

/** One after the other on one connection; microseconds each. */
async function roundTrips(port: number, count: number): Promise<number[]> {
  return await withConnections(`make ${count} round trips`, port, async (connect) => {
    const conn = await connect();
    await writeAll(conn, encodeOrder(Order.echo));
    const message = crypto.getRandomValues(new Uint8Array(SIZE));
    const answer = new Uint8Array(SIZE);
    const took: number[] = [];
    // The first one also opens the way, and is no round trip of an idle connection.
    for (let i = -1; i < count; i++) {
      message[0] = i;
      const began = performance.now();
      await writeAll(conn, message);
      await readFull(conn, answer);
      if (i >= 0) took.push((performance.now() - began) * 1_000);
      if (answer.some((byte, at) => byte !== message[at])) throw new Error("the echo differs");
    }
    return took;
  });
}
