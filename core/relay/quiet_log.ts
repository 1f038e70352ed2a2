/** Warnings that peers can cause at will: a flood of them must not become a flood of lines. */

import { Bucket, type Rate } from "../bucket.ts";
import type { Log, LogFields } from "../log.ts";

/** Lines of one kind. */
const LINES: Rate = { perSecond: 0.2, burst: 10 };

/** Warns like a log, ten times and then every five seconds; the next line says what was left out. */
export class QuietLog {
  readonly #log: Log;
  readonly #lines: Bucket;
  #unsaid = 0;

  /** @param now milliseconds from any beginning */
  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#lines = new Bucket(LINES, now);
  }

  warn(message: string, fields?: LogFields): void {
    if (!this.#lines.take()) return void this.#unsaid++;
    const unsaid = this.#unsaid || undefined;
    this.#unsaid = 0;
    this.#log.warn(message, { ...fields, unsaid });
  }
}
