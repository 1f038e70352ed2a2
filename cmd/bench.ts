/** `tunnel bench`: how fast the path to a device is, through the relay and by the transport in use. */

import { measurePath, type PathFigures, type Times } from "../core/bench/path.ts";
import { BENCH, parseDeviceId } from "../core/names.ts";
import { reasonOf } from "./connect.ts";
import type { Context } from "./context.ts";
import { toJson } from "./json.ts";
import { parseCount } from "./parse.ts";
import { print } from "./process.ts";
import { LINK_TIMEOUT, withService } from "./service.ts";
import { table } from "./table.ts";

/** Seconds that each of the six parts takes unless `--seconds` says otherwise. */
const SECONDS = "3";
const MOST_SECONDS = 60;

interface Result extends PathFigures {
  readonly device: string;
  readonly relay: string;
  readonly transport: string;
}

export async function bench(context: Context, deviceText: string): Promise<void> {
  const { options } = context;
  const id = parseDeviceId(deviceText);
  const duration = parseCount(options.text("seconds") ?? SECONDS, 1, MOST_SECONDS) * 1_000;
  const reason = reasonOf(context);
  const result = await withService(context, async (service): Promise<Result> => {
    const { supervisor, dialer, identity, stop } = service;
    await dialer.prepare(id, { timeout: LINK_TIMEOUT, signal: stop });
    const figures = await measurePath({
      open: (signal) => dialer.dial(id, BENCH, { reason, signal }),
      duration,
      progress: (text) => console.error(`${id}: ${text}`),
      signal: stop,
    });
    // As it is now: a path that began by WebSocket may have moved to QUIC.
    const { session } = await supervisor.link(LINK_TIMEOUT, stop);
    return { device: id, relay: identity.relay, transport: session.transport, ...figures };
  });
  print(options.flag("json") ? toJson(result, 2) : formatResult(result));
}

function formatResult(result: Result): string {
  const times = (name: string, { p50, p99, samples }: Times) => [
    name,
    `${formatMs(p50)} ms`,
    `p99 ${formatMs(p99)} ms`,
    `of ${samples}`,
  ];
  const rate = (name: string, bits: number) => [name, `${formatRate(bits)} Mbit/s`, "", ""];
  return `${result.device} via ${result.transport}, through ${result.relay}\n` + table([
    rate("throughput from the device", result.down),
    rate("throughput to the device", result.up),
    times("round trip, idle", result.roundTrip),
    times("round trip under a transfer from the device", result.roundTripDown),
    times("round trip under a transfer to the device", result.roundTripUp),
    times("opening a connection, to the first byte", result.open),
  ]);
}

function formatMs(ms: number): string {
  return ms < 10 ? ms.toFixed(2) : ms.toFixed(ms < 100 ? 1 : 0);
}

function formatRate(bits: number): string {
  const megabits = bits / 1e6;
  return megabits.toFixed(megabits < 10 ? 2 : megabits < 100 ? 1 : 0);
}
