/**
 * The relay's way to the audit trail. Events are written in groups, a moment after they happened,
 * because a write that lasts through a loss of power takes milliseconds; what administrators change
 * is recorded with the change itself and does not pass here.
 */

import { Bucket, type Rate } from "../bucket.ts";
import { delay } from "../deadline.ts";
import { describe, TunnelError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { AuditEvent } from "../policy/audit.ts";
import type { Store } from "../store.ts";

/** Milliseconds that an event waits for others, and after a failure until the next try. */
const GATHER = 100;
const RETRY = 1_000;
/** Events in one write. */
const GROUP = 500;
/** Refusals that are recorded. */
const REFUSALS: Rate = { perSecond: 10, burst: 200 };
/** Events that wait, at most: then nothing happens any more that would have to be recorded. */
const MAX_WAITING = 10_000;

export interface AuditLogOptions {
  readonly store: Pick<Store, "record">;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Events that wait at most; default 10,000. */
  readonly maxWaiting?: number;
  /** Milliseconds that an event waits for others; default 100. */
  readonly gather?: number;
}

export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #waiting: AuditEvent[] = [];
  readonly #stop = new AbortController();
  readonly #maxWaiting: number;
  readonly #refusals: Bucket;
  #unsaid = 0;
  #writing?: Promise<void>;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#maxWaiting = options.maxWaiting ?? MAX_WAITING;
    this.#refusals = new Bucket(REFUSALS, () => performance.now());
  }

  /** Events that are not written yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Records what has happened.
   *
   * @throws {TunnelError} `unavailable` when too many wait already: the store cannot be written
   */
  record(event: Omit<AuditEvent, "at">): void {
    this.check();
    this.recordEnd(event);
  }

  /**
   * Records that something is over. There is always room for it: no more can end than has begun, and
   * that is bounded.
   */
  recordEnd(event: Omit<AuditEvent, "at">): void {
    this.#waiting.push({ at: this.#options.now(), ...event });
    this.#writing ??= this.#write();
  }

  /**
   * Records that somebody was turned away, within reason: who asks again and again is not to fill the
   * relay's disk. The next one that is recorded says how many were not.
   */
  recordRefusal(event: Omit<AuditEvent, "at">): void {
    if (this.#waiting.length >= this.#maxWaiting || !this.#refusals.take()) {
      this.#unsaid++;
      return;
    }
    const unsaid = this.#unsaid > 0 ? `${this.#unsaid} more were not recorded` : undefined;
    this.#unsaid = 0;
    this.record({
      ...event,
      detail: [event.detail, unsaid].filter(Boolean).join("; ") || undefined,
    });
  }

  /** @throws {TunnelError} `unavailable` when an event could not be recorded now */
  check(): void {
    if (this.#waiting.length < this.#maxWaiting) return;
    throw new TunnelError("unavailable", {
      action: "record it",
      state: "the relay's audit trail cannot be written",
      remedy: "see the relay's log, and the space on its disk",
    });
  }

  /** Writes what waits; what cannot be written within one try is reported and lost. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#writing;
    const lost = this.#waiting.length;
    if (lost > 0) this.#options.log.error("events are not in the audit trail", { lost });
  }

  async #write(): Promise<void> {
    const { store, log, gather = GATHER } = this.#options;
    const { signal } = this.#stop;
    await delay(gather, signal);
    while (this.#waiting.length > 0) {
      const group = this.#waiting.slice(0, GROUP);
      try {
        await store.record(group);
        this.#waiting.splice(0, group.length);
      } catch (cause) {
        log.error("the audit trail cannot be written", { why: describe(cause) });
        if (signal.aborted) break;
        await delay(RETRY, signal);
      }
    }
    this.#writing = undefined;
  }
}
