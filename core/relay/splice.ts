/** Copies bytes between two streams, blindly: what a relay does once a dial is accepted. */

import type { BlockReader } from "../block_reader.ts";
import type { Transferred } from "../duplex.ts";

/** One side of a splice. */
export interface Side {
  readonly reader: BlockReader;
  readonly writable: WritableStream<Uint8Array>;
}

/**
 * Copies both ways until both directions have ended; each ends on its own. A failure on one side is
 * passed on as an abort or a cancel; whether that was a proper end is for the channel's ends to tell.
 * Never rejects.
 *
 * @param signal ends it at once
 */
export async function splice(near: Side, far: Side, signal?: AbortSignal): Promise<Transferred> {
  const writers = [far.writable.getWriter(), near.writable.getWriter()] as const;
  const cut = () => {
    for (const { reader } of [near, far]) reader.cancel(signal!.reason);
    for (const writer of writers) abort(writer, signal!.reason);
  };
  signal?.addEventListener("abort", cut, { once: true });
  if (signal?.aborted) cut();
  try {
    const [sent, received] = await Promise.all([
      copy(near.reader, writers[0]),
      copy(far.reader, writers[1]),
    ]);
    return { sent, received };
  } finally {
    signal?.removeEventListener("abort", cut);
  }
}

async function copy(
  reader: BlockReader,
  writer: WritableStreamDefaultWriter<Uint8Array>,
): Promise<number> {
  let bytes = 0;
  let reading = true;
  writer.closed.catch(() => {}); // Seen by the write that meets it.
  try {
    for (let block; (block = await reader.read()) !== null;) {
      bytes += block.length;
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

function abort(writer: WritableStreamDefaultWriter<Uint8Array>, reason: unknown): void {
  writer.abort(reason).catch(() => {}); // Already failed: there is nothing left to abort.
}
