/** Lanes that the peer has opened, until all of a stream's are there and somebody reads by them. */

import { type IncomingLanes, LANES } from "../core/lanes.ts";
import type { Header } from "./quic_lane_header.ts";

/** Milliseconds for somebody to want lanes that have come. */
const PATIENCE = 10_000;

type OnOpened = (opened: IncomingLanes) => void;

/** Those of one stream. */
interface Gathered {
  readonly position: number;
  readonly readables: (ReadableStream<Uint8Array> | undefined)[];
  readonly timer: ReturnType<typeof setTimeout>;
}

export class LaneGathering {
  readonly #onTaken: (id: bigint) => void;
  readonly #watchers = new Map<bigint, OnOpened>();
  readonly #gathered = new Map<bigint, Gathered>();

  /** @param onTaken told of each stream whose lanes somebody reads by from now on */
  constructor(onTaken: (id: bigint) => void) {
    this.#onTaken = onTaken;
  }

  /** Has it told of the lanes of a stream, once. @returns to be called when nobody wants them */
  watch(id: bigint, onOpened: OnOpened): () => void {
    this.#watchers.set(id, onOpened);
    this.#handOver(id);
    return () => {
      this.#watchers.delete(id);
      this.#drop(id);
    };
  }

  /** False when it has come already, or carries on from another place than the others. */
  add({ id, index, position }: Header, stream: ReadableStream<Uint8Array>): boolean {
    let gathered = this.#gathered.get(id);
    if (!gathered) {
      const timer = setTimeout(() => this.#drop(id), PATIENCE);
      gathered = { position, readables: [], timer };
      this.#gathered.set(id, gathered);
    }
    if (gathered.position !== position || gathered.readables[index]) return false;
    gathered.readables[index] = stream;
    this.#handOver(id);
    return true;
  }

  /** Those that nobody wanted are given up. */
  close(): void {
    for (const id of [...this.#gathered.keys()]) this.#drop(id);
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
    this.#onTaken(id);
  }

  #drop(id: bigint): void {
    const gathered = this.#gathered.get(id);
    if (!gathered) return;
    clearTimeout(gathered.timer);
    this.#gathered.delete(id);
    for (const lane of gathered.readables) lane?.cancel().catch(() => {}); // The session is over.
  }
}
