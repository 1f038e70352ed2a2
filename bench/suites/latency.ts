/**
 * How long a small message takes there and back: on an idle session, and on one that at the same time
 * moves as much as it can in another connection.
 */

import type { Row } from "../measure.ts";
import { median, percentile, ratio } from "../statistics.ts";
import { BLOCK, encodeOrder, give, Order, readFull, writeAll } from "../target.ts";
import { type Case, onField, type Suite, withConnections } from "./suite.ts";

const SIZES = [1, 64, 1_024];
/** Round trips of a run, and the milliseconds after which it ends with fewer. */
const FULL = { count: 10_000, limit: 10_000 };
const QUICK = { count: 2_000, limit: 1_500 };
const WARM_UP = { count: 200, limit: 1_000 };
/** Below so many samples the largest is all that could be said of the last thousandth. */
const LEAST_FOR_P999 = 1_000;
/** More than any run moves. */
const ENDLESS = 2 ** 40;

type Load = "idle" | "under load down" | "under load up";

/** What a run is bounded by. */
interface Bounds {
  readonly count: number;
  readonly limit: number;
}

export const latency: Suite = async (options) =>
  besideIdle(await onField(({ quick }) => cases(quick))(options));

function cases(quick: boolean): Case[] {
  const bounds = quick ? QUICK : FULL;
  return (["idle", "under load down", "under load up"] as const).flatMap((load) =>
    (quick && load !== "idle" ? [64] : SIZES).map((size): Case => ({
      name: caseName(size, load),
      metrics: [
        { name: "p50", unit: "µs", better: "less" },
        { name: "p90", unit: "µs", better: "less" },
        { name: "p99", unit: "µs", better: "less" },
        { name: "p99.9", unit: "µs", better: "less" },
        { name: "samples", unit: "", better: "more" },
      ],
      async warmUp({ port }) {
        await roundTrips(port, size, load, WARM_UP);
      },
      async run({ port }) {
        const all = await roundTrips(port, size, load, bounds);
        return [
          median(all),
          percentile(all, 0.9),
          percentile(all, 0.99),
          all.length < LEAST_FOR_P999 ? undefined : percentile(all, 0.999),
          all.length,
        ];
      },
    }))
  );
}

/** One after the other on one connection; microseconds each. */
async function roundTrips(
  port: number,
  size: number,
  load: Load,
  bounds: Bounds,
): Promise<number[]> {
  return await withConnections(`make round trips ${load}`, port, async (connect) => {
    if (load === "idle") return await ping(await connect(), size, bounds);
    const bulk = await connect();
    const begun = Promise.withResolvers<void>();
    const loading = load === "under load up"
      ? loadUp(bulk, begun.resolve)
      : loadDown(bulk, begun.resolve);
    // It is to end with its connection, after this function; before, that is a failure of the run.
    const ended = loading.then(() => Promise.reject(new Error("the load has ended")));
    ended.catch(begun.reject);
    await begun.promise;
    return await Promise.race([ping(await connect(), size, bounds), ended]);
  });
}

async function ping(
  conn: Deno.TcpConn,
  size: number,
  { count, limit }: Bounds,
): Promise<number[]> {
  await writeAll(conn, encodeOrder(Order.echo));
  const message = crypto.getRandomValues(new Uint8Array(size));
  const answer = new Uint8Array(size);
  const took: number[] = [];
  const end = performance.now() + limit;
  // The first one also opens the way, and is no round trip of an open connection.
  for (let i = -1; i < count && (took.length === 0 || performance.now() < end); i++) {
    message[0] = i;
    const began = performance.now();
    await writeAll(conn, message);
    await readFull(conn, answer);
    if (i >= 0) took.push((performance.now() - began) * 1_000);
    if (answer.some((byte, at) => byte !== message[at])) throw new Error("the echo differs");
  }
  return took;
}

async function loadDown(conn: Deno.TcpConn, onBegun: () => void): Promise<void> {
  await writeAll(conn, encodeOrder(Order.give, ENDLESS));
  const buffer = new Uint8Array(BLOCK);
  while (await conn.read(buffer) !== null) onBegun();
}

async function loadUp(conn: Deno.TcpConn, onBegun: () => void): Promise<void> {
  await writeAll(conn, encodeOrder(Order.take, ENDLESS));
  await give(conn, BLOCK);
  onBegun();
  await give(conn, ENDLESS - BLOCK);
}

/** Adds to each figure under load what it is to the same figure of the same contender when idle. */
export function besideIdle(rows: readonly Row[]): Row[] {
  return rows.map((row) => {
    const size = SIZES.find((size) =>
      row.case === caseName(size, "under load down") || row.case === caseName(size, "under load up")
    );
    const idle = size !== undefined &&
      rows.find((other) =>
        other.case === caseName(size, "idle") && other.contender === row.contender &&
        other.metric === row.metric
      );
    const value = idle ? ratio(row.rounds, idle.rounds) : undefined;
    return value === undefined || row.metric !== "p99"
      ? row
      : { ...row, ratios: { ...row.ratios, idle: value } };
  });
}

function caseName(size: number, load: Load): string {
  return `round trip, ${size} ${size === 1 ? "byte" : "bytes"}, ${load}`;
}
