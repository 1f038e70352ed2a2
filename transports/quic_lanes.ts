/**
 * The lanes of a session over QUIC: unidirectional streams (RFC 9000, section 2.1), each behind a
 * header that says what it is for (docs/PROTOCOL.md, 2.1.1). A session has lanes for one stream at a
 * time, each way: several busy streams have a credit each as it is.
 */

import { withDeadline } from "../core/deadline.ts";
import { LANES, type Lanes, LEAST_CARRIED, type OutgoingLanes } from "../core/lanes.ts";
import { LaneGathering } from "./quic_lane_gathering.ts";
import { encodeHeader, type Header, Kind, readHeader } from "./quic_lane_header.ts";

/** Unidirectional streams of the peer's that a session takes: lanes, and a word about its own. */
export const LANE_STREAMS = LANES + 1;

/** Streams of either end whose lanes the other does not know of yet. */
const MAX_UNKNOWN = 16;
/** Milliseconds for a header, and for the peer to know of lanes that have ended. */
const PATIENCE = 10_000;

/** What it takes of a connection. */
export interface Connection {
  createUnidirectionalStream(
    options?: { waitUntilAvailable?: boolean },
  ): Promise<WritableStream<Uint8Array>>;
}

export class LaneDesk {
  readonly #conn: Connection;
  readonly #onMisuse: (reason: string) => void;
  readonly #gathering = new LaneGathering((id) => this.#tellOf(id));
  /** Those who wait for the peer to know of their lanes. */
  readonly #unknown = new Map<bigint, () => void>();
  /** Streams of whose lanes the peer is yet to be told that they are known. */
  readonly #untold: bigint[] = [];
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #inUse = false;
  #isOver = false;

  /** @param onMisuse told of what no peer sends */
  constructor(conn: Connection, onMisuse: (reason: string) => void) {
    this.#conn = conn;
    this.#onMisuse = onMisuse;
  }

  /** Of the stream with this ID. */
  of(id: bigint): Pick<Lanes, "open" | "watch"> {
    return {
      open: () => this.#open(id),
      watch: (onOpened) => this.#gathering.watch(id, onOpened),
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
    // It was given up before it was used, or its session was.
    if (!header || this.#isOver) return;
    if (header.kind === Kind.known) {
      this.#known(header.id);
      return void stream.cancel().catch(() => {}); // The session is over.
    }
    const { kind, index, position } = header;
    const isLane = kind === Kind.lane && index < LANES && position >= LEAST_CARRIED;
    if (!isLane || !this.#gathering.add(header, stream)) {
      this.#onMisuse("a unidirectional stream came that is no lane");
    }
  }

  /** The session is over: nothing is waited for any more. */
  close(): void {
    this.#isOver = true;
    this.#gathering.close();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
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
        this.#knownSoon(id);
      },
      drop: () => {
        this.#inUse = false;
        this.#unknown.delete(id);
        for (const writer of writers) writer.abort().catch(() => {}); // It has failed already.
      },
    };
  }

  #known(id: bigint): void {
    this.#unknown.get(id)?.();
    this.#unknown.delete(id);
  }

  /** Lanes that have ended are known, if the peer keeps the rules: to wait for the word has an end. */
  #knownSoon(id: bigint): void {
    if (!this.#unknown.has(id)) return;
    if (this.#isOver) return this.#known(id);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#known(id);
    }, PATIENCE);
    this.#timers.add(timer);
  }

  /** Says that this end knows of the lanes: one word at a time. */
  #tellOf(id: bigint): void {
    this.#untold.push(id);
    if (this.#untold.length === 1) this.#tell().catch(() => {}); // The session is over.
    else if (this.#untold.length > MAX_UNKNOWN) this.#onMisuse("no room for a word about lanes");
  }

  async #tell(): Promise<void> {
    for (let id; (id = this.#untold[0]) !== undefined; this.#untold.shift()) {
      const stream = await this.#conn.createUnidirectionalStream({ waitUntilAvailable: true });
      const writer = stream.getWriter();
      await writer.write(encodeHeader({ kind: Kind.known, index: 0, id, position: 0 }));
      await writer.close();
    }
  }
}
