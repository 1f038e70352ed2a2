/** Copies bytes between two streams, blindly: what a relay does once a dial is accepted. */

import type { BlockReader } from "../block_reader.ts";
import type { ByteWriter } from "../byte_writer.ts";
import type { ByteStream } from "../control_stream.ts";
import type { Transferred } from "../duplex.ts";
import type { Count } from "../metrics.ts";
import type { Shaper } from "./shaper.ts";

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
  near: ByteStream,
  far: ByteStream,
  { signal, traffic }: SpliceOptions = {},
): Promise<Transferred> {
  const cut = () => {
    for (const { reader, writer } of [near, far]) {
      reader.cancel(signal!.reason);
      writer.abort(signal!.reason);
    }
  };
  signal?.addEventListener("abort", cut, { once: true });
  if (signal?.aborted) cut();
  try {
    const [sent, received] = await Promise.all([
      copy(near.reader, far.writer, { count: traffic?.sent, shapers: traffic?.shapers, signal }),
      copy(far.reader, near.writer, {
        count: traffic?.received,
        shapers: traffic?.shapers,
        signal,
      }),
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
  writer: ByteWriter,
  { count, shapers, signal }: CopyOptions,
): Promise<number> {
  let bytes = 0;
  let reading = true;
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
    writer.abort(cause);
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
