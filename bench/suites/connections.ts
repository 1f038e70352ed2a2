/**
 * Short connections: opened, one byte echoed, closed. How many pass in a second, how long each takes,
 * and how long the first byte takes through a tunnel that is only being started.
 */

import { withDeadline } from "../../core/deadline.ts";
import { median, percentile } from "../statistics.ts";
import { encodeOrder, Order, ORDER_LENGTH, readFull, writeAll } from "../target.ts";
import type { ColdCommand } from "../recipe.ts";
import { type Case, onField, withConnections } from "./suite.ts";

/** How many connections are made in all, by how many are open at once. */
const COUNTS: readonly { atOnce: number; count: number; quick: number }[] = [
  { atOnce: 1, count: 1_000, quick: 100 },
  { atOnce: 64, count: 3_000, quick: 600 },
];
const WARM_UP = 100;
/** Cold starts of a run. */
const COLD = 5;
const COLD_TIMEOUT = 60_000;
/** A byte for the echo, in one write with the order for it. */
const REQUEST = new Uint8Array(ORDER_LENGTH + 1);
REQUEST.set(encodeOrder(Order.echo));

export const connections = onField(({ quick }) => [
  ...COUNTS.map(({ atOnce, ...counts }): Case => {
    const count = quick ? counts.quick : counts.count;
    return {
      name: `connections, ${atOnce} at once`,
      metrics: [
        { name: "", unit: "1/s", better: "more" },
        { name: "p50", unit: "µs", better: "less" },
        { name: "p99", unit: "µs", better: "less" },
      ],
      async warmUp({ port }) {
        await open(port, atOnce, Math.max(atOnce, WARM_UP));
      },
      async run({ port }) {
        const { seconds, took } = await open(port, atOnce, count);
        return [count / seconds, median(took), percentile(took, 0.99)];
      },
    };
  }),
  {
    name: "first byte after a cold start",
    metrics: [{ name: "", unit: "ms", better: "less" }],
    applies: ({ cold }) => cold !== undefined,
    async warmUp({ cold }) {
      await startCold(cold!);
    },
    async run({ cold }) {
      const took: number[] = [];
      for (let i = 0; i < (quick ? 1 : COLD); i++) took.push(await startCold(cold!));
      return [median(took)];
    },
  },
]);

/** Makes the connections; seconds of all of them, microseconds of each. */
async function open(
  port: number,
  atOnce: number,
  count: number,
): Promise<{ seconds: number; took: number[] }> {
  const took: number[] = [];
  const began = performance.now();
  let left = count;
  const worker = async () => {
    while (left-- > 0) {
      const opened = performance.now();
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
      took.push((performance.now() - opened) * 1_000);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { seconds: (performance.now() - began) / 1_000, took };
}

/** Milliseconds from the start of the command to the first byte that the target sent back. */
async function startCold({ command: [program, ...args], env }: ColdCommand): Promise<number> {
  const began = performance.now();
  const child = new Deno.Command(program!, {
    args,
    env: { NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const said = new Response(child.stderr).text();
  const input = child.stdin.getWriter();
  const output = child.stdout.getReader();
  try {
    return await withDeadline(
      { action: "await the first byte", timeout: COLD_TIMEOUT },
      async () => {
        await input.write(REQUEST);
        const { value } = await output.read();
        const took = performance.now() - began;
        if (!value) throw new Error(`${program} ended without it: ${(await said).trim()}`);
        if (value.length !== 1) throw new Error(`${value.length} bytes came back of one`);
        return took;
      },
    );
  } finally {
    kill(child);
    // What it still had to say or to take is of no interest once it has been killed.
    await Promise.allSettled([input.close(), output.cancel(), said, child.status]);
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
}
