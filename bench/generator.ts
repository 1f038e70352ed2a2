/**
 * Load from a process of its own, for where the benchmark itself is not: on one side of a link.
 *
 *     generator.ts PORT STREAMS BYTES
 *
 * Moves so many bytes from the target behind 127.0.0.1:PORT, over so many connections, and prints how
 * many 10^6 bits a second that were.
 */

import { encodeOrder, Order, take, writeAll } from "./target.ts";

const [port = 0, streams = 1, bytes = 0] = Deno.args.map(Number);
const conns = await Promise.all(
  Array.from({ length: streams }, () => Deno.connect({ hostname: "127.0.0.1", port })),
);
const began = performance.now();
await Promise.all(conns.map(async (conn) => {
  await writeAll(conn, encodeOrder(Order.give, bytes / streams));
  await take(conn, bytes / streams);
}));
const seconds = (performance.now() - began) / 1_000;
console.log(`rate ${(bytes * 8 / 1e6 / seconds).toFixed(1)}`);
for (const conn of conns) conn.close();
