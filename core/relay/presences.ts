/**
 * What operators who watch are told: devices that come, go or change, as it happens; their figures
 * once a second. Of each device only its latest state is kept for whoever is slow to read.
 */

import type { DeviceInfo, PresenceChange } from "../control.ts";
import { delay } from "../deadline.ts";
import { TunnelError } from "../errors.ts";
import { pastDevice, presentDevice, type Usage } from "./device_info.ts";
import type { Place } from "./members.ts";
import type { DeviceSession, Registry } from "./registry.ts";

/** Devices in one message. */
const BATCH = 128;
/** Milliseconds between two messages to one watcher. */
const PAUSE = 100;
/** Milliseconds between two looks at figures and at what a watcher may know. */
const INTERVAL = 1_000;
/** Devices that wait to be told to one watcher; with more it is to read the list anew. */
const MOST_DUE = 8_192;

export interface PresencesOptions {
  readonly registry: Registry;
  readonly now: () => number;
  /** Milliseconds between two looks at figures; default 1,000. */
  readonly interval?: number;
}

/** Who watches. */
export interface Watcher {
  /** Whether it may know of a device now. */
  readonly mayKnow: (device: string) => boolean;
  /** Another text whenever what it may know has changed. */
  readonly reach: () => string;
  /** Settles when there is room for more. */
  readonly send: (changed: Omit<PresenceChange, "type" | "id">) => Promise<void>;
}

export class Presences {
  readonly #registry: Registry;
  readonly #now: () => number;
  readonly #interval: number;
  readonly #usages = new Map<string, Usage>();
  readonly #watches = new Set<Watch>();
  /** Devices whose figures have changed since they were last told. */
  readonly #touched = new Set<string>();
  #timer?: ReturnType<typeof setInterval>;

  constructor({ registry, now, interval = INTERVAL }: PresencesOptions) {
    this.#registry = registry;
    this.#now = now;
    this.#interval = interval;
    registry.watch((id, gone) => this.#changed(id, gone));
  }

  /** Those who watch. */
  get size(): number {
    return this.#watches.size;
  }

  /** A device that is here; undefined when it is not. */
  find(id: string): DeviceInfo | undefined {
    const session = this.#registry.find(id);
    return session && presentDevice(session, this.#usages.get(id));
  }

  /** Counts what a dial of a device carries, until its place is released. */
  count(device: string, { traffic, release }: Place): Place {
    const usage = this.#usage(device);
    usage.streams++;
    this.#touch(device);
    const counted = (of: "sent" | "received", total: { add(by: number): void }) => ({
      add: (bytes: number) => {
        usage[of] += bytes;
        this.#touch(device);
        total.add(bytes);
      },
    });
    return {
      traffic: {
        ...traffic,
        // Towards the device, and back.
        sent: counted("received", traffic.sent),
        received: counted("sent", traffic.received),
      },
      release: () => {
        usage.streams--;
        this.#touch(device);
        this.#forget(device);
        release();
      },
    };
  }

  /** A device has told how far away it is. */
  measured(device: string, roundTrip: number): void {
    if (!this.#registry.find(device)) return;
    this.#usage(device).roundTrip = roundTrip;
    this.#touch(device);
  }

  /** Tells a watcher until the signal fires. Rejects when it cannot be told. */
  async tell(watcher: Watcher, signal: AbortSignal): Promise<void> {
    const watch = new Watch(watcher);
    this.#watches.add(watch);
    this.#timer ??= setInterval(() => this.#tick(), this.#interval);
    try {
      await watch.run((id) => this.find(id), signal);
    } finally {
      this.#watches.delete(watch);
      if (this.#watches.size === 0) this.#rest();
    }
  }

  #changed(id: string, gone: DeviceSession | undefined): void {
    this.#forget(id);
    if (this.#watches.size === 0) return;
    const past = gone && pastDevice({
      name: id,
      since: gone.since,
      lastSeen: {
        at: this.#now(),
        transport: gone.session.transport,
        remote: gone.session.remote,
      },
    });
    for (const watch of this.#watches) watch.note(id, past);
  }

  #tick(): void {
    for (const watch of this.#watches) {
      watch.review();
      for (const id of this.#touched) if (this.#registry.find(id)) watch.note(id);
    }
    this.#touched.clear();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#touched.clear();
  }

  #touch(device: string): void {
    if (this.#watches.size > 0) this.#touched.add(device);
  }

  #usage(device: string): Usage {
    let usage = this.#usages.get(device);
    if (!usage) {
      usage = { streams: 0, sent: 0, received: 0, roundTrip: undefined };
      this.#usages.set(device, usage);
    }
    return usage;
  }

  /** Counts begin anew with a device that comes back, unless it left connections behind. */
  #forget(device: string): void {
    if (this.#registry.find(device) || this.#usages.get(device)?.streams) return;
    this.#usages.delete(device);
  }
}

/** What one watcher is yet to be told. */
class Watch {
  readonly #watcher: Watcher;
  /** By device: how it was last seen, where it is not here any more. */
  readonly #due = new Map<string, DeviceInfo | undefined>();
  #reach: string;
  #again = false;
  #wake = Promise.withResolvers<void>();

  constructor(watcher: Watcher) {
    this.#watcher = watcher;
    this.#reach = watcher.reach();
  }

  note(id: string, past?: DeviceInfo): void {
    this.#due.set(id, past);
    if (this.#due.size > MOST_DUE) this.#startAgain();
    this.#wake.resolve();
  }

  /** Looks whether the watcher may know of other devices than before. */
  review(): void {
    const reach = this.#watcher.reach();
    if (reach === this.#reach) return;
    this.#reach = reach;
    this.#startAgain();
    this.#wake.resolve();
  }

  async run(find: (id: string) => DeviceInfo | undefined, signal: AbortSignal): Promise<void> {
    const stop = () => this.#wake.resolve();
    signal.addEventListener("abort", stop, { once: true });
    try {
      for (;;) {
        if (!this.#again && this.#due.size === 0) await this.#wake.promise;
        if (signal.aborted) return;
        this.#wake = Promise.withResolvers();
        const changed = this.#take(find);
        if (changed) await this.#watcher.send(changed);
        await delay(PAUSE, signal);
        if (signal.aborted) return;
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #take(
    find: (id: string) => DeviceInfo | undefined,
  ): Omit<PresenceChange, "type" | "id"> | undefined {
    const again = this.#again;
    this.#again = false;
    const devices: DeviceInfo[] = [];
    for (const [id, past] of this.#due) {
      if (devices.length === BATCH) break;
      this.#due.delete(id);
      // The policy of this moment counts, not that of the change.
      const info = this.#watcher.mayKnow(id) ? find(id) ?? past : undefined;
      if (info) devices.push(info);
    }
    if (!again && devices.length === 0) return undefined;
    return { devices, ...(again && { again }) };
  }

  #startAgain(): void {
    this.#due.clear();
    this.#again = true;
  }
}

/** The refusal for who watches already. */
export function watchesAlready(): TunnelError {
  return new TunnelError("limit", {
    action: "watch the devices",
    state: "this session does already",
    remedy: "end that watch first",
  });
}
