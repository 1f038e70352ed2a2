/**
 * Which connections share a channel: those of a target to which they come in quick succession, as long
 * as none of them carries much. One that does is better off alone, and so are the others.
 */

import { formatTarget, type Target } from "../allow.ts";
import { withDeadline } from "../deadline.ts";
import { BULKY, Carrier, type SharedChannel } from "./carrier.ts";

/** Connections to one target within {@linkcode SPAN} milliseconds that make it worth a shared channel. */
const MANY = 8;
const SPAN = 1_000;
/** Milliseconds after a bulky connection for which those to its target share no channel. */
const CALM = 10_000;
/** Milliseconds for the device's first word in the channel. */
const READY_TIMEOUT = 10_000;
/** Targets that are counted; when there are more, the count begins anew. */
const MAX_TARGETS = 1_024;

/** What connections that share a channel have in common. */
export interface Purpose {
  readonly device: string;
  readonly target: Target;
  readonly reason?: string;
}

/**
 * Dials a channel to share; undefined when the device or the relay shares none, which is final.
 * Rejects when it could not be told.
 */
export type DialShared = (purpose: Purpose) => Promise<SharedChannel | undefined>;

interface Entry {
  /** When the count began. */
  since: number;
  count: number;
  /** When one was last seen to be bulky. */
  bulkyAt: number;
  carrier?: Carrier;
  dialling: boolean;
  refused: boolean;
}

export class Carriers {
  readonly #dial: DialShared;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  /** @param now milliseconds */
  constructor(dial: DialShared, now: () => number = () => performance.now()) {
    this.#dial = dial;
    this.#now = now;
  }

  /** Counts a connection that is wanted; the carrier for it, if there is one with room. */
  take(purpose: Purpose): Carrier | undefined {
    const entry = this.#entryOf(purpose);
    const now = this.#now();
    if (now - entry.since > SPAN) Object.assign(entry, { since: now, count: 0 });
    entry.count++;
    if (now - entry.bulkyAt < CALM) return undefined;
    if (entry.carrier?.hasRoom) return entry.carrier;
    // One that waits for its path may come to it; the dials say meanwhile what there is to say.
    if (entry.carrier?.isDetached) return undefined;
    if (entry.count >= MANY) this.#begin(entry, purpose);
    return undefined;
  }

  /** Told of a connection of its own that has ended, and how many bytes it has carried. */
  ended(purpose: Purpose, bytes: number): void {
    if (bytes > BULKY) this.#entryOf(purpose).bulkyAt = this.#now();
  }

  /** Has a channel for those that are still to come. */
  async #begin(entry: Entry, purpose: Purpose): Promise<void> {
    if (entry.dialling || entry.refused) return;
    entry.dialling = true;
    try {
      const channel = await this.#dial(purpose);
      if (!channel) return void (entry.refused = true);
      const carrier = new Carrier(channel, { onBulky: () => entry.bulkyAt = this.#now() });
      await withDeadline(
        { action: "share a channel", timeout: READY_TIMEOUT },
        () => carrier.ready,
      );
      entry.carrier?.retire();
      entry.carrier = carrier;
    } catch {
      // The dial of the next connection says why.
      entry.count = 0;
    } finally {
      entry.dialling = false;
    }
  }

  #entryOf({ device, target, reason = "" }: Purpose): Entry {
    const key = `${device}\n${formatTarget(target)}\n${reason}`;
    let entry = this.#entries.get(key);
    if (!entry) {
      if (this.#entries.size >= MAX_TARGETS) this.#clear();
      entry = { since: -Infinity, count: 0, bulkyAt: -Infinity, dialling: false, refused: false };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #clear(): void {
    for (const { carrier } of this.#entries.values()) carrier?.retire();
    this.#entries.clear();
  }
}
