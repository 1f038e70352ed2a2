/** The devices as the page shows them: in order, searched, with what they move per second. */

import type { DeviceInfo } from "../core/control.ts";
import type { DeviceChange } from "../core/member/watch.ts";

/** Seconds of throughput that are kept. */
export const HISTORY = 120;

/** Milliseconds after which figures that are not followed by others say nothing of now. */
const STALE = 3_000;

/** A device, and what moved since it was last told of. */
export interface Row {
  readonly device: DeviceInfo;
  /** Bytes per second, both directions, as of its last two figures. */
  readonly rate: number;
  /** When its figures came, milliseconds from any beginning. */
  readonly at: number;
}

export interface DeviceTableOptions {
  /** Called when something has changed and nobody has been told yet: the time to look is theirs. */
  readonly onChange: () => void;
  /** Milliseconds from any beginning. */
  readonly clock?: () => number;
}

/**
 * Takes changes as they come, at any rate, and tells once until it is looked at: who shows it works
 * by the frame, not by the change.
 */
export class DeviceTable {
  readonly #rows = new Map<string, Row>();
  readonly #onChange: () => void;
  readonly #clock: () => number;
  /** Sorted; made anew only when devices come, go, or the search changes. */
  #shown?: string[];
  #search = "";
  #isTold = false;
  /** Bytes that moved since the last sample. */
  #moved = 0;
  #history: number[] = [];
  online = 0;

  constructor({ onChange, clock = () => performance.now() }: DeviceTableOptions) {
    this.#onChange = onChange;
    this.#clock = clock;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Bytes per second of the whole fleet, a value a second, the newest last. */
  get history(): readonly number[] {
    return this.#history;
  }

  get search(): string {
    return this.#search;
  }

  set search(text: string) {
    this.#search = text.trim().toLowerCase();
    this.#shown = undefined;
    this.#tell();
  }

  /** IDs that match the search, in order; those of devices that are here come first. */
  get shown(): readonly string[] {
    this.#isTold = false;
    return this.#shown ??= [...this.#rows.values()].map(({ device }) => device)
      .filter((device) => matches(device, this.#search))
      .sort(byPresence)
      .map(({ id }) => id);
  }

  /** The rate is what moves now: a device that nothing moves of is told of no more. */
  row(id: string): Row | undefined {
    const row = this.#rows.get(id);
    return row && row.rate > 0 && this.#clock() - row.at > STALE ? { ...row, rate: 0 } : row;
  }

  apply({ type, device }: DeviceChange): void {
    const before = this.#rows.get(device.id);
    if (before?.device.online) this.online--;
    if (type === "removed") this.#rows.delete(device.id);
    else {
      if (device.online) this.online++;
      this.#rows.set(device.id, this.#next(before, device));
    }
    // What moves the figures alone leaves the order as it is.
    if (type !== "changed" || before?.device.transport !== device.transport) {
      this.#shown = undefined;
    }
    this.#tell();
  }

  /** Takes a sample of the throughput: to be called once a second. */
  sample(): void {
    this.#history = [...this.#history, this.#moved].slice(-HISTORY);
    this.#moved = 0;
    this.#tell();
  }

  #next(before: Row | undefined, device: DeviceInfo): Row {
    const at = this.#clock();
    if (!before) return { device, rate: 0, at };
    // Counters begin anew with each session.
    const moved = Math.max(0, total(device) - total(before.device));
    this.#moved += moved;
    const seconds = Math.max((at - before.at) / 1_000, 0.5);
    return { device, rate: device.online ? moved / seconds : 0, at };
  }

  #tell(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#onChange();
  }
}

function total({ sent = 0, received = 0 }: DeviceInfo): number {
  return sent + received;
}

function matches({ id, transport = "", remote = "", online }: DeviceInfo, search: string): boolean {
  if (search === "") return true;
  if (search === "online" || search === "offline") return online === (search === "online");
  return id.includes(search) || transport.includes(search) || remote.includes(search);
}

function byPresence(one: DeviceInfo, other: DeviceInfo): number {
  if (one.online !== other.online) return one.online ? -1 : 1;
  return one.id < other.id ? -1 : 1;
}
