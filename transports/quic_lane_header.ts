/**
 * What a unidirectional stream over QUIC begins with (docs/PROTOCOL.md, 2.1.1):
 *
 *     u8 kind | u8 index | u64 ID of the stream | u64 position
 */

const HEADER = 18;

export const Kind = { lane: 0, known: 1 } as const;

export interface Header {
  readonly kind: number;
  readonly index: number;
  readonly id: bigint;
  readonly position: number;
}

export function encodeHeader({ kind, index, id, position }: Header): Uint8Array {
  const header = new Uint8Array(HEADER);
  header.set([kind, index]);
  const view = new DataView(header.buffer);
  view.setBigUint64(2, id);
  view.setBigUint64(10, BigInt(position));
  return header;
}

/** Undefined where the stream ends before, or the signal fires. */
export async function readHeader(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<Header | undefined> {
  const reader = stream.getReader({ mode: "byob" });
  const giveUp = () => void reader.cancel().catch(() => {}); // It has failed already.
  signal.addEventListener("abort", giveUp, { once: true });
  let header = new Uint8Array(HEADER);
  for (let filled = 0; filled < HEADER;) {
    const { value, done } = await reader.read(header.subarray(filled));
    if (done) return undefined;
    filled += value.length;
    header = new Uint8Array(value.buffer);
  }
  signal.removeEventListener("abort", giveUp);
  reader.releaseLock();
  const view = new DataView(header.buffer);
  return {
    kind: header[0]!,
    index: header[1]!,
    id: view.getBigUint64(2),
    position: Number(view.getBigUint64(10)),
  };
}
