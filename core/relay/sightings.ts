/**
 * When and where devices were last seen, on its way to the store. A few are recorded at once; when a
 * fleet comes or goes it is recorded in groups, because a write that outlasts a loss of power takes
 * milliseconds, in which a relay does nothing else.
 */

import { Bucket, type Rate } from "../bucket.ts";
import { describe } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Sighting, Store } from "../store.ts";

/** Sightings that are written on their own; beyond that they wait for one another. */
const SINGLE: Rate = { perSecond: 10, burst: 20 };
/** Milliseconds that they wait. */
const GATHER = 100;
/** Sightings in one write; as many wait at most. */
const GROUP = 500;

export interface SightingsOptions {
  readonly store: Pick<Store, "devicesSeen">;
  readonly log: Log;
  /** Milliseconds that they wait for one another when many come; default 100. */
  readonly gather?: number;
  /** Milliseconds from any beginning; default `performance.now`. */
  readonly clock?: () => number;
}

export class Sightings {
  readonly #options: SightingsOptions;
  readonly #single: Bucket;
  #waiting: [device: string, sighting: Sighting][] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: SightingsOptions) {
    this.#options = options;
    this.#single = new Bucket(SINGLE, options.clock ?? (() => performance.now()));
  }

  /** What the store cannot take is reported and lost: the next sign of life tells more. */
  record(device: string, sighting: Sighting): void {
    this.#waiting.push([device, sighting]);
    const isFull = this.#waiting.length >= GROUP;
    if (isFull || this.#isClosed || this.#single.take()) this.#write();
    else this.#timer ??= setTimeout(() => this.#write(), this.#options.gather ?? GATHER);
  }

  /** Settles when all is written; from now on each is at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#write();
  }

  async #write(): Promise<void> {
    const { store, log } = this.#options;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const sightings = this.#waiting;
    if (sightings.length === 0) return;
    this.#waiting = [];
    try {
      await store.devicesSeen(sightings);
    } catch (cause) {
      const devices = sightings.length;
      log.error("it is not recorded when devices were seen", { devices, why: describe(cause) });
    }
  }
}
