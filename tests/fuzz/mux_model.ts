/**
 * What docs/PROTOCOL.md, section 2.2, says of the multiplexer, as seen by the peer of the session
 * under test: which frames are legal, and what the session may send.
 */

import type { FrameHandler, Settings } from "../../core/mux/frame.ts";
import { must, same } from "./expect.ts";
import { isEqual, sequence } from "./fake_path.ts";

const MAX_CREDIT = 2 ** 31;
const MAX_PLACES = 2 ** 31 - 1;
/** What this implementation allows on each stream at first; it grows for a peer that is blocked. */
const WINDOW = 262_144;
const { open: OPEN, end: END } = { open: 0x80, end: 0x40 };

/** A frame as the script says it. */
export interface Said {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  /** Of DATA. */
  readonly bytes: Uint8Array;
  /** Of every other type. */
  readonly values: readonly number[];
}

/** Both directions of a stream. */
export class StreamModel {
  /** Towards the session: sent, allowed still, ended. */
  said = 0;
  credit = WINDOW;
  over?: "end" | "reset";
  /** From the session: heard, allowed still, ended, owed. */
  heard = 0;
  heardOver?: "end" | "reset";
  owed?: number;
  /** The session's own application gave up, maybe before a STOP came. */
  aborted = false;

  constructor(readonly isPeers: boolean, public allowed: number) {}
}

export class MuxModel implements FrameHandler {
  readonly byId = new Map<number, StreamModel>();
  /** Why the session is over. */
  over?: "violation" | "closed";
  /** What its CLOSE says. */
  farewell?: number;
  /** The next id of the peer's, and how many more it may open. */
  nextId: number;
  places: number;
  #window = 0;
  #given = 0;
  #greeted = false;
  #met = false;
  #nextHeard: number;
  readonly #limit: number;
  /** PINGs that no PONG has answered. */
  #pings: number[] = [];

  /** @param limit streams that the session under test allows */
  constructor(isClient: boolean, limit: number) {
    this.nextId = isClient ? 1 : 2;
    this.#nextHeard = isClient ? 2 : 1;
    this.#limit = this.places = limit;
  }

  /** Takes note of a frame for the session; what is behind the first violation does not count. */
  take(frame: Said): void {
    if (this.over) return;
    if (!this.#judge(frame)) this.over = "violation";
  }

  /** Whether a frame is beyond the places or the credit that the peer has heard of. */
  exceeds({ type, flags, id, bytes }: Said): boolean {
    if (type !== 1) return false;
    if (flags & OPEN) return this.places === 0 || bytes.length > WINDOW;
    return bytes.length > (this.byId.get(id)?.credit ?? 0);
  }

  /** What is owed must have come, when the session could speak. */
  settle(): void {
    if (this.over) return;
    for (const [id, { owed }] of this.byId) must(owed === undefined, `no RESET for ${id}`);
    same(this.#pings, [], "PINGs that no PONG has answered");
  }

  // Frames of the session, held to the rules.

  settings(settings: Settings): void {
    must(!this.#met, "SETTINGS came twice");
    same([settings.streams, settings.window], [this.#limit, WINDOW], "SETTINGS");
    this.#met = true;
  }

  data(id: number, flags: number, payload: Uint8Array): void {
    this.#early();
    if (flags & OPEN) {
      same(id, this.#nextHeard, "the id of a new stream");
      must(this.#given-- > 0, "a stream beyond the places");
      this.#nextHeard += 2;
      this.byId.set(id, new StreamModel(false, this.#window));
    }
    const stream = this.#live(id);
    must(payload.length <= stream.allowed, "DATA beyond the credit");
    must(isEqual(payload, sequence(stream.heard, payload.length, id)), `the bytes on stream ${id}`);
    stream.allowed -= payload.length;
    stream.heard += payload.length;
    if (flags & END) stream.heardOver = "end";
    // STOP and END have crossed: nothing is owed any more.
    if (flags & END) stream.owed = undefined;
  }

  reset(id: number, code: number): void {
    const stream = this.#live(id);
    if (stream.owed !== undefined && !stream.aborted) {
      same(code, stream.owed, "the code of a RESET");
    }
    stream.owed = undefined;
    stream.heardOver = "reset";
  }

  stop(id: number): void {
    must(this.byId.has(id), `STOP for stream ${id}`);
  }

  credit(id: number, bytes: number): void {
    const stream = this.byId.get(id);
    must(stream !== undefined, `CREDIT for stream ${id}`);
    stream.credit += bytes;
    must(stream.credit <= WINDOW, `credit for ${stream.credit} bytes`);
  }

  streams(more: number): void {
    this.places += more;
    const open = [...this.byId.values()].filter((each) => each.isPeers && !isOver(each));
    must(open.length + this.places <= this.#limit, "places beyond the limit");
  }

  ping(): void {}

  pong(value: number): void {
    // One to a later PING answers those before it too.
    const at = this.#pings.indexOf(value);
    must(at >= 0, `a PONG to ${value}`);
    this.#pings.splice(0, at + 1);
  }

  closing(code: number): void {
    must(this.farewell === undefined, "CLOSE came twice");
    this.farewell = code;
  }

  #early(): void {
    must(this.#greeted, "a frame before SETTINGS had come");
  }

  #live(id: number): StreamModel {
    const stream = this.byId.get(id);
    must(stream !== undefined, `a frame for stream ${id}`);
    must(stream.heardOver === undefined, `a frame behind the end of stream ${id}`);
    return stream;
  }

  /** The violations of the section, one after the other. */
  #judge({ type, flags, id, bytes, values }: Said): boolean {
    const isOfStream = type >= 1 && type <= 4;
    if (type > 8 || isOfStream !== id > 0 || (flags !== 0 && type !== 1)) return false;
    if (type !== 1 && values.length !== (type === 0 ? 4 : 1)) return false;
    const [value = 0] = values;
    if (type === 8) {
      this.over = "closed";
      return true;
    }
    if (!this.#greeted) return type === 0 && this.#greet(values);
    switch (type) {
      case 0:
        return false;
      case 1:
        return this.#data(id, flags, bytes);
      case 2: {
        const stream = this.byId.get(id);
        if (!stream || stream.over) return false;
        stream.over = "reset";
        return true;
      }
      case 3:
        return this.#stop(id, value);
      case 4:
        return this.#credit(id, value);
      case 5:
        this.#given += value;
        return this.#given <= MAX_PLACES;
      case 6:
        this.#pings.push(value);
    }
    return true;
  }

  #greet([streams = 0, window = 0]: readonly number[]): boolean {
    this.#greeted = true;
    this.#given = streams;
    this.#window = window;
    return window <= MAX_CREDIT && streams <= MAX_PLACES;
  }

  #data(id: number, flags: number, bytes: Uint8Array): boolean {
    if (flags & OPEN) {
      if (id !== this.nextId || this.places === 0) return false;
      this.places--;
      this.nextId += 2;
      this.byId.set(id, new StreamModel(true, this.#window));
    }
    const stream = this.byId.get(id);
    if (!stream || stream.over || bytes.length > stream.credit) return false;
    stream.credit -= bytes.length;
    stream.said += bytes.length;
    if (flags & END) stream.over = "end";
    return true;
  }

  #stop(id: number, code: number): boolean {
    const stream = this.byId.get(id);
    if (!stream) return false;
    if (!stream.heardOver) stream.owed ??= code;
    return true;
  }

  #credit(id: number, more: number): boolean {
    const stream = this.byId.get(id);
    if (!stream) return false;
    // For a direction that is over it is ignored.
    if (stream.heardOver) return true;
    stream.allowed += more;
    return stream.allowed <= MAX_CREDIT;
  }
}

export function isOver({ over, heardOver }: StreamModel): boolean {
  return over !== undefined && heardOver !== undefined;
}
