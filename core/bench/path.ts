/** How fast the way to a device's `bench` target is, measured over channels of their own. */

import { abortError, withDeadline } from "../deadline.ts";
import type { Duplex } from "../duplex.ts";
import { toTunnelError, TunnelError } from "../errors.ts";
import { percentile } from "../statistics.ts";
import { encodeOrder, MAX_BYTES, Order } from "./order.ts";

/** Connections that are opened to see how long that takes. */
const OPENS = 20;
/** Round trips at most, and bytes of one. */
const ROUND_TRIPS = 1_000;
const SIZE = 64;
/** Bytes of the first transfer. Each later one is longer, at most by this factor. */
const FIRST = 64 * 1024;
const GROWTH = 8;
const BLOCK = 128 * 1024;
/** Milliseconds that one connection may take beyond what it is to take. */
const PATIENCE = 45_000;

/** Round trips, or other times: milliseconds. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  /** How many there were. */
  readonly samples: number;
}

/** What is known of a way afterwards. */
export interface PathFigures {
  /** From the dial to the first byte that came back. */
  readonly open: Times;
  /** Of {@linkcode SIZE} bytes, with nothing else under way. */
  readonly roundTrip: Times;
  /** The same, while as much as possible moves from the device, or to it. */
  readonly roundTripDown: Times;
  readonly roundTripUp: Times;
  /** Bits per second from the device, and to it. */
  readonly down: number;
  readonly up: number;
}

export interface PathOptions {
  /** Opens a connection to the bench target. */
  readonly open: (signal: AbortSignal) => Promise<Duplex>;
  /** Milliseconds that each part takes, roughly. */
  readonly duration: number;
  /** Told what is measured next. */
  readonly progress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

type Direction = "down" | "up";

/** @throws {TunnelError} `target` when the device does not offer it, or what ended a connection */
export async function measurePath(options: PathOptions): Promise<PathFigures> {
  const { duration, progress = () => {} } = options;
  progress("opening connections");
  const open = await opens(options);
  progress("round trips, nothing else under way");
  const roundTrip = await roundTrips(options, duration);
  progress("throughput from the device");
  const down = await throughput(options, "down");
  progress("throughput to the device");
  const up = await throughput(options, "up");
  progress("round trips under a transfer from the device");
  const roundTripDown = await underLoad(options, "down");
  progress("round trips under a transfer to the device");
  const roundTripUp = await underLoad(options, "up");
  return { open, roundTrip, roundTripDown, roundTripUp, down, up };
}

async function opens(options: PathOptions): Promise<Times> {
  const took: number[] = [];
  const end = performance.now() + options.duration;
  while (took.length < OPENS && (took.length === 0 || performance.now() < end)) {
    const began = performance.now();
    await withConnection("open a connection", options, 0, async (connection) => {
      await connection.write(encodeOrder(Order.echo));
      await connection.write(new Uint8Array(1));
      await takeBytes(connection, 1);
      took.push(performance.now() - began);
      await finish(connection);
    });
  }
  return summary(took);
}

async function roundTrips(options: PathOptions, duration: number): Promise<Times> {
  return await withConnection("make round trips", options, duration, async (connection) => {
    const times = await ping(connection, duration);
    await finish(connection);
    return times;
  });
}

async function ping(connection: Duplex, duration: number): Promise<Times> {
  await connection.write(encodeOrder(Order.echo));
  const message = crypto.getRandomValues(new Uint8Array(SIZE));
  const took: number[] = [];
  const end = performance.now() + duration;
  // The first one also begins the echo, and is none of an idle connection.
  for (let i = -1; i < ROUND_TRIPS && (took.length === 0 || performance.now() < end); i++) {
    const began = performance.now();
    await connection.write(message);
    await takeBytes(connection, SIZE);
    if (i >= 0) took.push(performance.now() - began);
  }
  return summary(took);
}

/** Bits per second of the first transfer that is long enough; shorter ones only find its length. */
async function throughput(options: PathOptions, direction: Direction): Promise<number> {
  const { duration } = options;
  const action = direction === "down" ? "receive bytes" : "send bytes";
  for (let bytes = FIRST;;) {
    const took = await withConnection(action, options, duration * GROWTH, async (connection) => {
      const began = performance.now();
      await move[direction](connection, bytes);
      const took = performance.now() - began;
      await finish(connection);
      return took;
    });
    if (took >= duration / 2 || bytes === MAX_BYTES) return bytes * 8 / (took / 1_000);
    const wanted = Math.ceil(bytes / took * duration);
    bytes = Math.min(MAX_BYTES, bytes * GROWTH, Math.max(bytes * 2, wanted));
  }
}

/** Round trips while a transfer has begun and goes on. Both are open before: dials are not measured. */
async function underLoad(options: PathOptions, direction: Direction): Promise<Times> {
  const { duration } = options;
  return await withConnection("make round trips", options, duration, async (echo, signal) => {
    const within = { ...options, signal };
    const times = await withConnection("load the path", within, duration, async (load) => {
      const begun = Promise.withResolvers<void>();
      const loading = move[direction](load, MAX_BYTES, begun.resolve);
      const ended = loading.then(() => Promise.reject(unexpected("the load has ended")));
      ended.catch(begun.reject); // Afterwards it is the reset below.
      await begun.promise;
      const times = await Promise.race([ping(echo, duration), ended]);
      load.reset(new TunnelError("closed", { action: "load the path", state: "it was measured" }));
      return times;
    });
    await finish(echo);
    return times;
  });
}

/** Each settles when the receiver has everything, and calls `onBegun` when the first bytes went. */
const move = {
  async down(connection: Duplex, bytes: number, onBegun?: () => void): Promise<void> {
    await connection.write(encodeOrder(Order.give, bytes));
    await takeBytes(connection, bytes, onBegun);
  },

  async up(connection: Duplex, bytes: number, onBegun?: () => void): Promise<void> {
    await connection.write(encodeOrder(Order.take, bytes));
    const block = crypto.getRandomValues(new Uint8Array(64 * 1024));
    const data = new Uint8Array(BLOCK);
    for (let at = 0; at < BLOCK; at += block.length) data.set(block, at);
    for (let left = bytes; left > 0; left -= BLOCK) {
      await connection.write(left < BLOCK ? data.subarray(0, left) : data);
      onBegun?.();
    }
    await takeBytes(connection, 1);
  },
};

/** Runs `work` on a new connection, which is reset unless it was finished. */
async function withConnection<T>(
  action: string,
  { open, signal }: PathOptions,
  duration: number,
  work: (connection: Duplex, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = duration + PATIENCE;
  return await withDeadline({ action, timeout, signal }, async (signal) => {
    const connection = await open(signal);
    const reset = () => connection.reset(abortError(signal, action));
    signal.addEventListener("abort", reset, { once: true });
    try {
      if (signal.aborted) reset();
      return await work(connection, signal);
    } catch (cause) {
      connection.reset(toTunnelError(cause, action, "reset"));
      throw cause;
    } finally {
      signal.removeEventListener("abort", reset);
    }
  });
}

async function finish(connection: Duplex): Promise<void> {
  await connection.closeWrite();
  const rest = await connection.read();
  if (rest !== null) throw unexpected(`${rest.length} bytes came that nobody sent`);
}

async function takeBytes(connection: Duplex, bytes: number, onBegun?: () => void): Promise<void> {
  for (let left = bytes; left > 0;) {
    const chunk = await connection.read();
    if (chunk === null) throw unexpected(`it ended ${left} of ${bytes} bytes early`);
    left -= chunk.length;
    if (left < 0) throw unexpected(`${-left} bytes came that nobody sent`);
    onBegun?.();
  }
}

function summary(took: readonly number[]): Times {
  return { p50: percentile(took, 0.5), p99: percentile(took, 0.99), samples: took.length };
}

function unexpected(state: string): TunnelError {
  return new TunnelError("protocol", { action: "measure the path", state });
}
