/**
 * Load from a process of its own, for where the benchmark itself is not: on one side of a link.
 *
 *     generator.ts HOST:PORT up|down STREAMS SETTLE SECONDS
 *
 * Moves bytes to or from the target behind HOST:PORT over so many connections, none with 0, and makes
 * round trips of 64 bytes on another one at the same time. After SETTLE seconds it measures for
 * SECONDS, and prints `{"rate": R, "trips": [...]}`: 10^6 bits a second that arrived, and the
 * milliseconds of each round trip.
 */

import { BLOCK, encodeOrder, give, Order, readFull, writeAll } from "./target.ts";

export interface Load {
  readonly rate: number;
  readonly trips: readonly number[];
}

const TRIP = 64;

async function main([address = "", direction = "", ...args]: string[]): Promise<void> {
  const [hostname = "", port] = address.split(":");
  const [streams = 1, settle = 0, seconds = 1] = args.map(Number);
  const load = { up, down }[direction];
  if (!load) throw new Error(`use: generator.ts HOST:PORT up|down STREAMS SETTLE SECONDS`);
  const connect = async () => {
    const conn = await Deno.connect({ hostname, port: Number(port) });
    conn.setNoDelay(true);
    return conn;
  };
  const echo = await connect();
  await writeAll(echo, encodeOrder(Order.echo));
  await roundTrip(echo); // It also opens the way.

  let bytes = 0;
  const began = performance.now() + settle * 1_000;
  const ends = began + seconds * 1_000;
  const isMeasured = (now: number) => now >= began && now < ends;
  const arrived = (count: number) => {
    if (isMeasured(performance.now())) bytes += count;
  };
  for (let i = 0; i < streams; i++) load(await connect(), arrived).catch(fail);
  const trips: number[] = [];
  // One that is under way at the end is waited for: a way that is stuck must not look like a fast one.
  for (let now; (now = performance.now()) < ends;) {
    const took = await roundTrip(echo);
    if (isMeasured(now)) trips.push(took);
  }
  const rate = bytes * 8 / 1e6 / seconds;
  console.log(JSON.stringify({ rate, trips } satisfies Load));
  Deno.exit();
}

async function down(conn: Deno.TcpConn, arrived: (count: number) => void): Promise<void> {
  await writeAll(conn, encodeOrder(Order.give, Number.MAX_SAFE_INTEGER));
  const buffer = new Uint8Array(BLOCK);
  for (let count; (count = await conn.read(buffer)) !== null;) arrived(count);
  throw new Error("the connection ended");
}

async function up(conn: Deno.TcpConn, arrived: (count: number) => void): Promise<void> {
  await writeAll(conn, encodeOrder(Order.count));
  const answers = async () => {
    for (const answer = new Uint8Array(4);;) {
      await readFull(conn, answer);
      arrived(new DataView(answer.buffer).getUint32(0));
    }
  };
  await Promise.all([give(conn, Number.MAX_SAFE_INTEGER), answers()]);
}

async function roundTrip(conn: Deno.TcpConn): Promise<number> {
  const began = performance.now();
  await writeAll(conn, new Uint8Array(TRIP));
  await readFull(conn, new Uint8Array(TRIP));
  return performance.now() - began;
}

function fail(error: unknown): void {
  console.error(String(error));
  Deno.exit(1);
}

if (import.meta.main) await main(Deno.args);
