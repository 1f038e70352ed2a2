/**
 * The lanes of a session over QUIC: unidirectional streams (RFC 9000, section 2.1), each behind a
 * header that says what it is for (docs/PROTOCOL.md, "Lanes").
 *
 *     u8 kind | u8 index | u64 ID of the stream | u64 position
 *
 * A session has lanes for one direction of one stream at a time and way: several busy streams have a
 * credit each as it is.
 */

import { withDeadline } from "../core/deadline.ts";
import { type IncomingLanes, LANES, type Lanes, type OutgoingLanes } from "../core/lanes.ts";

/** Unidirectional streams of the peer's that a session takes: lanes, and a word about its own. */
export const LANE_STREAMS = LANES + 1;

/** Streams that have ended before the peer knew of their lanes; more have none. */
const MAX_UNKNOWN = 16;
const HEADER = 18;
const Kind = { lane: 0, known: 1 } as const;
/** Milliseconds for a header, and for somebody to want lanes that have come. */
const PATIENCE = 10_000;

/** What it takes of a connection. */
export interface Connection {
  createUnidirectionalStream(
    options?: { waitUntilAvailable?: boolean },
  ): Promise<WritableStream<Uint8Array>>;
}

interface Header {
  readonly kind: number;
  readonly index: number;
  readonly id: bigint;
  readonly position: number;
}

/** Lanes that have come for a stream. */
interface Gathered {
  readonly position: number;
  readonly readables: (ReadableStream<Uint8Array> | undefined)[];
  readonly timer: ReturnType<typeof setTimeout>;
}

export class LaneDesk {
  readonly #conn: Connection;
  readonly #onMisuse: (reason: string) => void;
  readonly #watchers = new Map<bigint, (opened: IncomingLanes) => void>();
  readonly #gathered = new Map<bigint, Gathered>();
  /** Those who wait for the peer to know of their lanes. */
  readonly #unknown = new Map<bigint, () => void>();
  #inUse = false;

  /** @param onMisuse told of what no peer sends */
  constructor(conn: Connection, onMisuse: (reason: string) => void) {
    this.#conn = conn;
    this.#onMisuse = onMisuse;
  }

  /** Of the stream with this ID. */
  of(id: bigint): Pick<Lanes, "open" | "watch"> {
    return {
      open: () => this.#open(id),
      watch: (onOpened) => {
        this.#watchers.set(id, onOpened);
        this.#handOver(id);
        return () => {
          this.#watchers.delete(id);
          this.#drop(id);
        };
      },
    };
  }

  /** Takes a unidirectional stream of the peer's. Never rejects. */
  async take(stream: ReadableStream<Uint8Array>): Promise<void> {
    let header: Header | undefined;
    try {
      const options = { action: "read what a stream is for", timeout: PATIENCE };
      header = await withDeadline(options, (signal) => readHeader(stream, signal));
    } catch {
      return; // The session is over, or the peer has taken its time.
    }
    if (!header) return; // It was given up before it was used.
    if (header.kind === Kind.known) {
      this.#unknown.get(header.id)?.();
      this.#unknown.delete(header.id);
      return void stream.cancel().catch(() => {});
    }
    if (header.kind !== Kind.lane || header.index >= LANES) return this.#onMisuse(MISUSE);
    this.#gather(header, stream);
  }

  async #open(id: bigint): Promise<OutgoingLanes | undefined> {
    if (this.#inUse || this.#unknown.size >= MAX_UNKNOWN) return undefined;
    this.#inUse = true;
    const made = await Promise.allSettled(
      Array.from({ length: LANES }, () => this.#conn.createUnidirectionalStream()),
    );
    const writers = made.flatMap((one) =>
      one.status === "fulfilled" ? [one.value.getWriter()] : []
    );
    // What a writer rejects with also rejects the write that met it.
    for (const { closed } of writers) closed.catch(() => {});
    if (writers.length < LANES) {
      for (const writer of writers) writer.abort().catch(() => {});
      this.#inUse = false;
      return undefined;
    }
    const known = Promise.withResolvers<void>();
    this.#unknown.set(id, known.resolve);
    return {
      writers,
      known: known.promise,
      begin: (position) => {
        writers.forEach((writer, index) => {
          const header = encodeHeader({ kind: Kind.lane, index, id, position });
          writer.write(header).catch(() => {}); // The next write says it, too.
        });
      },
      end: () => {
        this.#inUse = false;
      },
      drop: () => {
        this.#inUse = false;
        this.#unknown.delete(id);
        for (const writer of writers) writer.abort().catch(() => {}); // It has failed already.
      },
    };
  }

  #gather({ id, index, position }: Header, stream: ReadableStream<Uint8Array>): void {
    let gathered = this.#gathered.get(id);
    if (!gathered) {
      const timer = setTimeout(() => this.#drop(id), PATIENCE);
      gathered = { position, readables: [], timer };
      this.#gathered.set(id, gathered);
    }
    if (gathered.position !== position || gathered.readables[index]) {
      return this.#onMisuse(MISUSE);
    }
    gathered.readables[index] = stream;
    this.#handOver(id);
  }

  /** Once all of them are there, and somebody for them. */
  #handOver(id: bigint): void {
    const gathered = this.#gathered.get(id);
    const watcher = this.#watchers.get(id);
    if (!gathered || !watcher) return;
    const readables = gathered.readables.filter((lane) => lane !== undefined);
    if (readables.length < LANES) return;
    clearTimeout(gathered.timer);
    this.#gathered.delete(id);
    this.#watchers.delete(id);
    watcher({ position: gathered.position, readables });
    this.#tellKnown(id).catch(() => {}); // The session is over.
  }

  async #tellKnown(id: bigint): Promise<void> {
    const stream = await this.#conn.createUnidirectionalStream({ waitUntilAvailable: true });
    const writer = stream.getWriter();
    await writer.write(encodeHeader({ kind: Kind.known, index: 0, id, position: 0 }));
    await writer.close();
  }

  #drop(id: bigint): void {
    const gathered = this.#gathered.get(id);
    if (!gathered) return;
    clearTimeout(gathered.timer);
    this.#gathered.delete(id);
    for (const lane of gathered.readables) lane?.cancel().catch(() => {});
  }
}

const MISUSE = "a unidirectional stream came that is no lane";

function encodeHeader({ kind, index, id, position }: Header): Uint8Array {
  const header = new Uint8Array(HEADER);
  header.set([kind, index]);
  const view = new DataView(header.buffer);
  view.setBigUint64(2, id);
  view.setBigUint64(10, BigInt(position));
  return header;
}

/** Undefined where the stream ends before, or the signal fires. */
async function readHeader(
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
