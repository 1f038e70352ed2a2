/**
 * Thousands of idle devices on one relay: what they cost it, how soon a dial reaches one, and how all
 * of them come back when the relay is killed and started again.
 *
 * Memory is Pss of /proc/PID/smaps_rollup, before the first device and when the relay has been left
 * alone for a while; nothing is collected by force. All devices run on this machine, at the lowest
 * priority, and take most of its CPU while they come back: the time for that says as much of the machine
 * as of the relay, and so does the relay's CPU time.
 */

import { delay } from "../../core/deadline.ts";
import { describe } from "../../core/errors.ts";
import { deviceName, Ground, type Kind, TARGET } from "../fleet/ground.ts";
import { cpuOf, type Usage, usageOf } from "../fleet/usage.ts";
import { Random } from "../../tests/random.ts";
import type { Row } from "../measure.ts";
import { median, percentile, spread } from "../statistics.ts";
import type { Metric, Suite, SuiteOptions } from "./suite.ts";

const ONE_BY_ONE = ["quic", "websocket"] as const;
const DEVICES = 5_000;
const QUICK = 500;
/**
 * Milliseconds in which a relay comes to rest, and for which its CPU time is taken then. In the first
 * half minute it takes up to twice as much, to collect what the sign-ins have left.
 */
const SETTLE = 40_000;
const REST = 30_000;
/** Dials while all idle. */
const DIALS = 300;
/** Milliseconds between two dials while devices come back. */
const PACE = 100;
/** Milliseconds that the relay stays away. */
const AWAY = 1_000;
/** Milliseconds in which all should be up, and back. */
const PATIENCE = 300_000;

const METRICS = {
  memory: { name: "resident per device", unit: "KiB", better: "less" },
  files: { name: "descriptors for 1,000 devices", unit: "", better: "less" },
  rate: { name: "sign-ins", unit: "1/s", better: "more" },
  cost: { name: "relay's CPU for 1,000 sign-ins", unit: "ms", better: "less" },
  rest: { name: "relay's CPU at rest, of a core", unit: "‰", better: "less" },
  dial: { name: "dial, median", unit: "ms", better: "less" },
  slow: { name: "dial, p99", unit: "ms", better: "less" },
  slowest: { name: "dial, longest", unit: "ms", better: "less" },
  back: { name: "all back after", unit: "ms", better: "less" },
  busy: { name: "relay's CPU meanwhile, of a core", unit: "‰", better: "less" },
  wait: { name: "longest dial meanwhile", unit: "ms", better: "less" },
  failed: { name: "dials that failed meanwhile, of 1,000", unit: "", better: "less" },
  answer: { name: "longest wait of one that failed", unit: "ms", better: "less" },
} as const satisfies Record<string, Metric>;

type Figures = Record<keyof typeof METRICS, number>;

export const fleet: Suite = async (options) => {
  const rows: Row[] = [];
  const kinds: Kind[] = ONE_BY_ONE.filter((kind) => options.names.includes(nameOf(kind)));
  // As devices have it by default, where no transport was left out.
  if (kinds.length === ONE_BY_ONE.length) kinds.push("auto");
  for (const kind of kinds) rows.push(...await rowsOf(kind, nameOf(kind), options));
  return rows;
};

function nameOf(kind: Kind): string {
  return `tunnel ${kind}`;
}

async function rowsOf(
  kind: Kind,
  contender: string,
  { suite, quick, rounds, progress }: SuiteOptions,
): Promise<Row[]> {
  const devices = quick ? QUICK : DEVICES;
  const all: Figures[] = [];
  let failed: string | undefined;
  try {
    for (let round = 1; round <= rounds; round++) {
      const tell = (text: string) => progress(`${devices} devices: ${contender}, ${text}`);
      all.push(await measure(kind, devices, tell));
    }
  } catch (error) {
    failed = describe(error);
    progress(`${devices} devices: ${contender} failed: ${failed}`);
  }
  return Object.entries(METRICS).map(([key, { name, ...metric }]) => {
    const figures = all.map((one) => one[key as keyof Figures]);
    const known = { suite, case: `${devices} devices`, metric: name, ...metric, contender };
    if (failed !== undefined) return { ...known, rounds: figures, failed };
    return { ...known, rounds: figures, median: median(figures), spread: spread(figures) };
  });
}

async function measure(
  kind: Kind,
  count: number,
  progress: (text: string) => void,
): Promise<Figures> {
  await using ground = await Ground.start(kind);
  await delay(AWAY);
  const before = await usageOf(ground.relay.pid);
  progress("signing in");
  const began = performance.now();
  await ground.startDevices(count);
  await ground.reaches(count, PATIENCE);
  const took = performance.now() - began;
  const cost = await cpuOf(ground.relay.pid) - before.cpu;
  progress("coming to rest");
  await delay(SETTLE);
  const idle = await usageOf(ground.relay.pid);
  progress("at rest");
  const rest = await share(ground.relay.pid, () => delay(REST));
  progress("dialling");
  const dials = await dialMany(ground, count);
  progress("the relay is killed");
  return {
    ...perDevice(before, idle, count),
    rate: count / (took / 1_000),
    cost: cost * 1_000 / count,
    rest,
    dial: median(dials),
    slow: percentile(dials, 0.99),
    slowest: Math.max(...dials),
    ...await comeBack(ground, count, progress),
  };
}

function perDevice(before: Usage, idle: Usage, count: number): Pick<Figures, "memory" | "files"> {
  return {
    memory: (idle.resident - before.resident) / 1_024 / count,
    files: (idle.files - before.files) * 1_000 / count,
  };
}

/** Thousandths of a core that a process takes meanwhile. */
async function share(pid: number, work: () => Promise<unknown>): Promise<number> {
  const [cpu, began] = [await cpuOf(pid), performance.now()];
  await work();
  return (await cpuOf(pid) - cpu) * 1_000 / (performance.now() - began);
}

async function dialMany(ground: Ground, count: number): Promise<number[]> {
  const random = new Random(1);
  const took: number[] = [];
  for (let i = 0; i < DIALS; i++) took.push(await dial(ground, random.below(count)));
  return took;
}

/** Milliseconds from the wish to an echo. */
async function dial(ground: Ground, number: number): Promise<number> {
  const began = performance.now();
  const channel = await ground.dialer.dial(deviceName(number), TARGET);
  try {
    await channel.write(new Uint8Array(1));
    if ((await channel.read())?.length !== 1) throw new Error("the echo is missing");
    return performance.now() - began;
  } finally {
    await channel.closeWrite();
    while (await channel.read() !== null);
  }
}

/**
 * Kills the relay, starts it again and dials all the time: by turns any device, back or not, and one
 * that has been reached since. A dial waits from when the relay listens.
 */
async function comeBack(
  ground: Ground,
  count: number,
  progress: (text: string) => void,
): Promise<Pick<Figures, "back" | "busy" | "wait" | "failed" | "answer">> {
  await ground.killRelay();
  await delay(AWAY);
  await ground.startRelay();
  const began = performance.now();
  const random = new Random(2);
  const [waits, failures]: number[][] = [[], []];
  const waiting: Promise<void>[] = [];
  let reached: number | undefined;
  let isBack = false;
  const dialling = async () => {
    for (let i = 0; !isBack; i++) {
      const number = i % 2 && reached !== undefined ? reached : random.below(count);
      const wished = performance.now();
      waiting.push(
        dial(ground, number).then(
          (took) => {
            waits!.push(took);
            reached = number;
          },
          // Most are refused because their device is not back yet, which is an answer too.
          () => void failures!.push(performance.now() - wished),
        ),
      );
      await delay(PACE);
    }
  };
  const diallingOn = dialling();
  progress("devices come back");
  const busy = await share(ground.relay.pid, () => ground.reaches(count, PATIENCE));
  isBack = true;
  const back = performance.now() - began;
  await diallingOn;
  await Promise.all(waiting);
  return {
    back,
    busy,
    wait: Math.max(...waits!),
    failed: failures!.length * 1_000 / waiting.length,
    answer: Math.max(0, ...failures!),
  };
}
