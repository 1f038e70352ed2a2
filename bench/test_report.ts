/** A run for tests of what is made of one. */

import type { Report } from "./conditions.ts";
import type { Row } from "./measure.ts";

/** Everything that a report can hold: figures, roles, ratios, a failure, an absent tool. */
export const REPORT: Report = {
  quick: false,
  rounds: 3,
  machine: {
    system: "linux x86_64",
    kernel: "6.1.0",
    cpu: "Some CPU",
    cores: 2,
    memory: 8 * 2 ** 30,
  },
  deno: "2.9.6",
  tunnel: "0.1.0",
  load: [0.1, 1.9],
  began: "2026-01-02T03:04:05.000Z",
  seconds: 600,
  contenders: {
    "direct": { description: "no tunnel" },
    "openssh": { description: "two hops", version: "9.2p1" },
  },
  absent: { "rathole tls": "rathole not installed: run bench/peers/install.sh" },
  results: [
    row("direct", [12_000, 12_000, 12_000]),
    row("tunnel websocket", [900, 1_000, 1_100], {
      ratios: { "bare websocket": 0.9, "direct": 0.083, "plain websocket": 0.95 },
    }),
    row("tunnel websocket", [9.5], { metric: "CPU", unit: "s/GB" }),
    row("tunnel websocket", [3.3], { metric: "CPU", unit: "s/GB", role: "service" }),
    row("tunnel websocket", [2.9], { metric: "CPU", unit: "s/GB", role: "relay" }),
    row("tunnel websocket", [3.3], { metric: "CPU", unit: "s/GB", role: "device" }),
    row("tunnel websocket", [101.5], { metric: "memory", unit: "MiB", role: "service" }),
    row("tunnel websocket", [99], { metric: "memory", unit: "MiB", role: "relay" }),
    row("tunnel websocket", [110], { metric: "memory", unit: "MiB", role: "device" }),
    row("rathole noise", [800], {}),
    row("rathole noise", [0.4], { metric: "CPU", unit: "s/GB", role: "relay" }),
    row("frp <tcp>", [], { failed: `it did not start: ${"very ".repeat(40)}\nlong` }),
    ...["p50", "p99"].map((metric, i) => ({
      ...row("tunnel quic", [250 * (1 + 99 * i)], { metric, unit: "µs" }),
      ...{ suite: "latency", case: "round trip, 64 bytes, under load up" },
      ...(i === 1 && { ratios: { idle: 4.5 } }),
    })),
  ],
};

function row(contender: string, rounds: number[], more: Partial<Row> = {}): Row {
  const [median] = rounds.toSorted((a, b) => a - b).slice(rounds.length >> 1);
  return {
    suite: "throughput",
    case: "up, 8 streams, 64 KiB writes",
    metric: "",
    unit: "Mbit/s",
    better: "more",
    contender,
    rounds,
    ...(median !== undefined && { median, spread: 0.2 }),
    ...more,
  };
}
