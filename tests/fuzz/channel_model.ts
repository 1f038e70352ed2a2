/**
 * What docs/PROTOCOL.md, section 6, says of a channel, as seen by the peer of the end under test:
 * which records are legal, and what the end under test may send.
 */

import { must, same } from "./expect.ts";
import { isEqual, sequence } from "./fake_path.ts";

/** Section 6.5: bytes that may be sent before the first ACK. */
const WINDOW = 262_144;
/** Section 6.4: bytes of a DATA record at most, and of the text of a RESET. */
const [MAX_DATA, MAX_TEXT] = [130_944, 256];

/** Seeds of the two directions' sequences. */
export const [THEIRS, OURS] = [1, 2];

export class ChannelModel {
  /** Of the direction towards the end under test: received, read, allowed, ended. */
  got = 0;
  read = 0;
  credit = WINDOW;
  ended = false;
  /** Of the other: written, sent at any time, confirmed, allowed, closed and told so. */
  written = 0;
  sent = 0;
  confirmed = 0;
  limit = WINDOW;
  closed = false;
  finSent = false;
  /** Where the next DATA on this path must begin; on a new one it is learned. */
  #next = 0;
  /** Why the channel is over before its time. */
  broken?: "violation" | "reset by peer" | "reset here";
  /** The last words on the current path. */
  lastHeard = false;
  #resetHeard = false;
  lastSent?: "reset" | "done";
  readonly maxWindow: number;

  constructor(maxWindow: number) {
    this.maxWindow = maxWindow;
  }

  /** The highest position that the peer may confirm. */
  get highest(): number {
    return this.finSent ? this.written + 1 : this.sent;
  }

  get complete(): boolean {
    return this.ended && this.finSent && this.confirmed === this.written + 1;
  }

  /** A new path, on which the peer has named this position. */
  attached(position: number): void {
    this.lastHeard = false;
    this.lastSent = undefined;
    if (this.broken || this.complete) return;
    if (position > this.highest) {
      this.broken = "violation";
      return;
    }
    this.confirmed = Math.max(this.confirmed, position);
    this.#next = Math.min(this.confirmed, this.written);
  }

  /** Takes note of a record for the end under test; false when it is a violation. */
  take(record: Uint8Array): boolean {
    // Whoever is over hears last words alone.
    const legal = this.broken || this.complete ? true : this.#judge(record);
    if (!legal) this.broken = "violation";
    const isLast = isWellFormed(record) && (record[0] === 2 || record[0] === 4);
    if (isLast && record[0] === 2) this.#resetHeard = true;
    if (isLast && (this.broken || this.complete)) this.lastHeard = true;
    return legal;
  }

  /** Holds a record of the end under test to the rules. */
  check(record: Uint8Array): void {
    must(isWellFormed(record), `a record of ${record.length} bytes, type ${record[0]}`);
    must(
      this.lastSent === undefined || record[0] === 2 || record[0] === 4,
      "a word behind the last",
    );
    const [first, second] = counts(record);
    switch (record[0]! & 0x7f) {
      case 0:
        return this.#checkData(first, record.subarray(9), record[0]! >= 0x80);
      case 1:
        same(first, this.written, "the bytes that a FIN counts");
        must(this.closed && this.#next === this.written, "a FIN before its time");
        this.finSent = true;
        return;
      case 2:
        must(this.broken === "violation" || this.broken === "reset here", "a RESET for nothing");
        same(record[1]! << 8 | record[2]!, this.broken === "violation" ? 3 : 1, "its code");
        this.lastSent = "reset";
        return;
      case 3:
        same(first, this.got + (this.ended ? 1 : 0), "the position of an ACK");
        must(second >= this.credit, "credit was taken back");
        must(second <= this.read + this.maxWindow, `credit for ${second - this.read} bytes`);
        this.credit = second;
        return;
      default:
        must(this.complete || this.#resetHeard, "a DONE before its time");
        this.lastSent = "done";
    }
  }

  #checkData(position: number, data: Uint8Array, blocked: boolean): void {
    same(position, this.#next, "the position of DATA");
    must(isEqual(data, sequence(position, data.length, OURS)), `the bytes from ${position} on`);
    this.#next += data.length;
    must(this.#next <= this.written, "DATA that nobody wrote");
    must(this.#next <= this.limit, "DATA beyond the limit");
    same(blocked, this.#next === this.limit, "BLOCKED");
    this.sent = Math.max(this.sent, this.#next);
  }

  /** Section 6.9. */
  #judge(record: Uint8Array): boolean {
    if (!isWellFormed(record)) return false;
    const [first, second] = counts(record);
    switch (record[0]! & 0x7f) {
      case 0: {
        const end = first + record.length - 9;
        if (first > this.got || end > this.credit || (this.ended && end > this.got)) return false;
        this.got = Math.max(this.got, end);
        return true;
      }
      case 1:
        this.ended ||= first === this.got;
        return first === this.got;
      case 2:
        this.broken = "reset by peer";
        return true;
      case 3:
        if (first > this.highest || second < this.limit) return false;
        this.confirmed = Math.max(this.confirmed, first);
        this.#next = Math.max(this.#next, Math.min(this.confirmed, this.written));
        this.limit = second;
        return true;
      default:
        return false;
    }
  }
}

/** Whether the table of section 6.4 has such a record. */
function isWellFormed(record: Uint8Array): boolean {
  const { length } = record;
  const fits = [
    length >= 10 && length <= 9 + MAX_DATA,
    length === 9,
    length >= 3 && length <= 3 + MAX_TEXT,
    length === 17,
    length === 1,
  ];
  const type = record[0]! & 0x7f;
  if (!fits[type] || (record[0]! >= 0x80 && type !== 0)) return false;
  return counts(record).every((count) => count <= Number.MAX_SAFE_INTEGER);
}

/** The u64 of a record; none of a RESET or a DONE. */
function counts(record: Uint8Array): [number, number] {
  const type = record[0]! & 0x7f;
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const at = (offset: number) => Number(view.getBigUint64(offset));
  return [[0, 1, 3].includes(type) ? at(1) : 0, type === 3 ? at(9) : 0];
}
