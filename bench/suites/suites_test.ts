/** The suites on no tunnel at all: their cases work, and see it when a target does not. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import type { Contender } from "../contenders.ts";
import type { Row } from "../measure.ts";
import { startTarget } from "../target.ts";
import { connections } from "./connections.ts";
import { besideIdle, latency } from "./latency.ts";
import type { Suite } from "./suite.ts";
import { throughput } from "./throughput.ts";

const test = suite("bench suites");

test("throughput: up, down and both, one stream and eight", async () => {
  using target = startTarget();
  const rows = await quick(throughput, { port: target.port });
  assert.equal(
    rows.map((row) => row.case),
    ["up", "down", "both"].flatMap((direction) =>
      ["1 stream", "8 streams"].map((streams) => `${direction}, ${streams}, 64 KiB writes`)
    ),
  );
  for (const row of rows) assert.ok(row.median! > 0, `${row.case}: ${row.failed}`);
});

test("latency: percentiles in order, beside the idle ones when under load", async () => {
  using target = startTarget();
  const rows = await quick(latency, { port: target.port });
  const names = [...new Set(rows.map((row) => row.case))];
  assert.equal(names, [
    "round trip, 1 byte, idle",
    "round trip, 64 bytes, idle",
    "round trip, 1024 bytes, idle",
    "round trip, 64 bytes, under load down",
    "round trip, 64 bytes, under load up",
  ]);
  for (const name of names) {
    const own = rows.filter((row) => row.case === name && row.metric.startsWith("p"));
    const figures = own.map(({ median }) => median!);
    assert.equal(figures, figures.toSorted((a, b) => a - b), `${name}: ${own[0]?.failed}`);
    assert.ok(figures.length >= 3 && figures[0]! > 0);
    const p99 = own.find(({ metric }) => metric === "p99")!;
    assert.is(p99.ratios?.idle !== undefined, name.includes("under load"), name);
  }
});

test("connections: a target that ends every connection fails each case, once", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const refusing = (async () => {
    for await (const conn of listener) conn.close();
  })();
  const cold = { command: [Deno.execPath(), "eval", "console.error('no way'); Deno.exit(1)"] };
  const rows = await quick(connections, { port: listener.addr.port, cold });
  assert.equal([...new Set(rows.map((row) => row.case))].length, 3);
  for (const row of rows) assert.ok(row.failed, row.case);
  assert.match(rows.at(-1)!.failed!, "no way");
  listener.close();
  await refusing;
});

test("p99 under load is set beside that of the same size and contender, by round", () => {
  const row = (load: string, contender: string, metric: string, rounds: number[]): Row => ({
    ...{ suite: "latency", case: `round trip, 64 bytes, ${load}`, metric, unit: "µs" },
    ...{ better: "less", contender, rounds, ratios: { direct: 2 } },
  });
  const rows = besideIdle([
    row("idle", "a", "p99", [10, 100]),
    row("idle", "b", "p99", [1, 1]),
    row("under load up", "a", "p50", [7, 7]),
    row("under load up", "a", "p99", [40, 600]),
    row("under load up", "c", "p99", [40, 600]),
  ]);
  assert.equal(rows.map(({ ratios }) => ratios), [
    ...[{ direct: 2 }, { direct: 2 }, { direct: 2 }],
    ...[{ direct: 2, idle: 5 }, { direct: 2 }],
  ]);
});

test.run();

function quick(suite: Suite, contender: Pick<Contender, "port" | "cold">): Promise<Row[]> {
  const contenders = [{ name: "direct", processes: [], ...contender }];
  const none = new Map<string, string>();
  const disposed = { [Symbol.asyncDispose]: () => Promise.resolve() };
  const run = suite({
    suite: "test",
    quick: true,
    rounds: 1,
    names: ["direct"],
    progress: () => {},
    skip: (why) => assert.unreachable(why),
    field: () => Promise.resolve({ contenders, failures: none, absent: none, ...disposed }),
  });
  return bounded("the suite", run);
}
