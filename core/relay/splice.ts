/** Copies bytes between two streams, blindly: what a relay does once a dial is accepted. */

import type { BlockReader } from "../block_reader.ts";
import type { Transferred } from "../duplex.ts";
import type { Count } from "../metrics.ts";
import type { Shaper } from "./shaper.ts";

/** One side of a splice. */
export interface Side {
  readonly reader: BlockReader;
  readonly writable: WritableStream<Uint8Array>;
}

/** How the bytes of a splice are counted, and what they wait for. */
export interface Traffic {
  /** From near to far. */
  readonly sent: Pick<Count, "add">;
  readonly received: Pick<Count, "add">;
  /** Every block waits for a turn at each of them, in this order. */
  readonly shapers?: readonly Shaper[];
}

export interface SpliceOptions {
  /** Ends it at once. */
  readonly signal?: AbortSignal;
  readonly traffic?: Traffic;
}

/**
 * Copies both ways until both directions have ended; each ends on its own. A failure on one side is
 * passed on as an abort or a cancel; whether that was a proper end is for the channel's ends to tell.
 * Never rejects.
 */
export async function splice(
  near: Side,
  far: Side,
  { signal, traffic }: SpliceOptions = {},
): Promise<Transferred> {
  const writers = [far.writable.getWriter(), near.writable.getWriter()] as const;
  const cut = () => {
    for (const { reader } of [near, far]) reader.cancel(signal!.reason);
    for (const writer of writers) abort(writer, signal!.reason);
  };
  signal?.addEventListener("abort", cut, { once: true });
  if (signal?.aborted) cut();
  try {
    const [sent, received] = await Promise.all([
      copy(near.reader, writers[0], { count: traffic?.sent, shapers: traffic?.shapers, signal }),
      copy(far.reader, writers[1], { count: traffic?.received, shapers: traffic?.shapers, signal }),
    ]);
    return { sent, received };
  } finally {
    signal?.removeEventListener("abort", cut);
  }
}

interface CopyOptions {
  readonly count: Pick<Count, "add"> | undefined;
  readonly shapers: readonly Shaper[] | undefined;
  readonly signal: AbortSignal | undefined;
}

async function copy(
  reader: BlockReader,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  { count, shapers, signal }: CopyOptions,
): Promise<number> {
  let bytes = 0;
  let reading = true;
  writer.closed.catch(() => {}); // Seen by the write that meets it.
  try {
    for (let block; (block = await reader.read()) !== null;) {
      bytes += block.length;
      count?.add(block.length);
      if (shapers) await takeTurns(shapers, block.length, signal);
      await writer.write(block);
    }
    reading = false;
    await writer.close();
  } catch (cause) {
    if (reading) reader.cancel(cause);
    abort(writer, cause);
  }
  return bytes;
}

async function takeTurns(
  shapers: readonly Shaper[],
  bytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const shaper of shapers) await shaper.take(bytes, signal);
}

function abort(writer: WritableStreamDefaultWriter<Uint8Array>, reason: unknown): void {
  writer.abort(reason).catch(() => {}); // Already failed: there is nothing left to abort.
}
