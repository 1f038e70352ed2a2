/**
 * What one connection gets of a long way, and four, each a channel with a stream of its own. A stream
 * of QUIC carries 1.25 MB per round trip here, and goes on over lanes where that is too little.
 *
 *     deno run -A bench/striping.ts [rounds]
 *
 * The service is on the near side, relay, device and target on the far one.
 */

import { Running, type RunOptions, tempDir, tunnel } from "../tests/processes.ts";
import { table } from "../cmd/table.ts";
import { type Link, type LinkOptions, openLink } from "./link/link.ts";
import { median } from "./statistics.ts";

/** Milliseconds there and back; 10^6 bits per second, 0 for what this machine can do; percent. */
const LINKS: readonly { roundTrip: number; rate: number; loss: number }[] = [
  { roundTrip: 50, rate: 100, loss: 0 },
  { roundTrip: 100, rate: 100, loss: 0 },
  { roundTrip: 150, rate: 100, loss: 0 },
  { roundTrip: 50, rate: 100, loss: 1 },
  { roundTrip: 150, rate: 100, loss: 0.1 },
  { roundTrip: 50, rate: 0, loss: 0 },
  { roundTrip: 100, rate: 0, loss: 0 },
];
const STREAMS = [1, 4];
/** Each connection is a channel. */
const APART = ["--limit", "dial-connections=1"];
/** Seconds of a transfer. */
const SECONDS = 8;

const rounds = Number(Deno.args[0] ?? 3);
const rows = [["round trip", "rate", "loss", "transport", "1 connection", "4 connections"]];
for (const { roundTrip, rate, loss } of LINKS) {
  for (const transport of ["quic", "websocket"]) {
    const rates = await measure({ delay: roundTrip / 2, rate, loss }, transport);
    const cells = rates.map((all) => {
      const [least, most] = [Math.min(...all), Math.max(...all)];
      return `${median(all).toFixed(0)} (${least.toFixed(0)} to ${most.toFixed(0)}) Mbit/s`;
    });
    const way = [`${roundTrip} ms`, rate ? `${rate} Mbit/s` : "any", `${loss} %`];
    rows.push([...way, transport, ...cells]);
    console.error(rows.at(-1)!.join("  "));
  }
}
console.log(table(rows));

/** The rates of each number of streams, one a round. */
async function measure(options: LinkOptions, transport: string): Promise<number[][]> {
  await using link = await openLink(options);
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path, TUNNEL_TRANSPORT: transport };
  const on = (side: "near" | "far"): RunOptions => ({ env, within: (c) => link[side].command(c) });
  await using target = program("target.ts", [], on("far"));
  const port = await target.line(/^port (\d+)$/m);
  await using relay = tunnel(["relay", "--listen", `${link.far.address}:0`, ...APART], on("far"));
  await relay.line(/^relay ready/m);
  await using device = tunnel(["device", "--id", "x", "--allow", port], on("far"));
  await device.line(/^device x online/m);
  await using service = tunnel(["connect", "x", port], on("near"));
  const local = await service.line(/^listening \S+:(\d+)/m);
  const rates: number[][] = STREAMS.map(() => []);
  // The first round opens the windows and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const [i, streams] of STREAMS.entries()) {
      const rate = await load(link, local, streams);
      if (round > 0) rates[i]!.push(rate);
    }
  }
  return rates;
}

async function load(link: Link, port: string, streams: number): Promise<number> {
  const args = [`127.0.0.1:${port}`, "down", String(streams), "0", String(SECONDS)];
  await using running = program("generator.ts", args, { within: (c) => link.near.command(c) });
  return JSON.parse(await running.line(/^(\{.*\})$/m)).rate;
}

function program(name: string, args: readonly string[], options: RunOptions): Running {
  const path = new URL(name, import.meta.url).pathname;
  return new Running(
    [Deno.execPath(), "run", "-A", "--quiet", "--no-check", path, ...args],
    options,
  );
}
