/**
 * How a client's session reacts to loss. Cubic takes every loss for congestion, which makes it slow
 * where packets are lost at random. BBR does not, and overdrives a way that has no such excuse. So a
 * session begins with Cubic, and while it carries much, probes tell whether the way is lossy; one with
 * BBR then takes its place, for half an hour, or until probes tell that it overdrives the way.
 */

import { delay } from "../../core/deadline.ts";
import { TunnelError } from "../../core/errors.ts";
import { type Datagrams, decode, encode, Kind } from "./datagram.ts";
import { LossJudge } from "./judge.ts";

/** Congestion control, and Deno's name for it. */
export const Control = { cubic: "default", bbr: "low-latency" } as const;

export type Control = keyof typeof Control;

/** A session to be, in the place of another. */
export interface Successor {
  readonly control: Control;
  /** Milliseconds until its way is looked at. */
  readonly rest: number;
}

/** How a session begins that takes no other's place. */
export const FIRST: Successor = { control: "cubic", rest: 0 };

/** What is used of time. */
export interface Clock {
  /** Milliseconds from any beginning, never less than before. */
  now(): number;
  delay(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export interface WatchOptions extends Partial<Successor> {
  readonly conn: Datagrams;
  /** Fires when the connection has ended. */
  readonly ended: AbortSignal;
  /** Something came that cannot be. */
  readonly onMisuse: () => void;
  readonly clock?: Clock;
}

/** Bytes a second from which on it matters how a session reacts to loss. */
const BUSY = 32 * 1024;
/** Milliseconds between probes. */
const INTERVAL = 5;
/** The most probes until a way is lossy or not, and how many there are to say that it is overdriven. */
const MOST = 6_000;
const FEW = 300;
/** Milliseconds for the last of those to come back. */
const SETTLE = 1_000;
/** The share of probes whose loss is more than any way's own. */
const OVERDRIVEN = 0.3;
/** Milliseconds of rest when nothing was found: the first time, and at most. */
const REST = 60_000;
const LONGEST_REST = 16 * REST;
/** Milliseconds after which BBR is given up: the way may be another by then. */
const BEARS_LOSS_FOR = 30 * 60_000;
/** Milliseconds between wishes that stay without an answer, and how many there are. */
const WISH_INTERVAL = 200;
const WISHES = 10;

const PLATFORM: Clock = { now: () => performance.now(), delay };

export class LossWatch {
  /** Fulfils when another session should take the place of this one. */
  readonly outgrown: Promise<void>;
  readonly #conn: Datagrams;
  readonly #ended: AbortSignal;
  readonly #control: Control;
  readonly #clock: Clock;
  readonly #outgrown = Promise.withResolvers<void>();
  readonly #granted = Promise.withResolvers<void>();
  /** Of the next probe. */
  #number = 0;
  #judge?: LossJudge;
  /** Probes that the judge has been told of. */
  #judged = 0;
  /** Told of probes that are back. */
  #returned = (_number: number): void => {};
  #looking = false;
  #carried = 0;
  #since: number;
  #nextLook: number;
  #rest = REST;
  #overdriven = false;

  constructor(options: WatchOptions) {
    const { conn, ended, onMisuse, control = "cubic", rest = 0, clock = PLATFORM } = options;
    this.outgrown = this.#outgrown.promise;
    this.#conn = conn;
    this.#ended = ended;
    this.#control = control;
    this.#clock = clock;
    this.#since = clock.now();
    this.#nextLook = this.#since + rest;
    this.#listen(onMisuse);
    if (control === "bbr") this.#expire();
  }

  /** The session has carried so many bytes, either way. */
  carried(bytes: number): void {
    this.#carried += bytes;
    if (this.#looking || this.#carried < BUSY) return;
    const now = this.#clock.now();
    if (this.#isBusy(now) && now >= this.#nextLook) this.#look();
  }

  /**
   * What is to take the place of this session. The relay has been told.
   *
   * @throws {TunnelError} `unreachable` when the relay does not answer
   */
  async successor(): Promise<Successor> {
    if (this.#control === "bbr") {
      return { control: "cubic", rest: this.#overdriven ? LONGEST_REST : 0 };
    }
    if (await this.#wish()) return { control: "bbr", rest: 0 };
    throw new TunnelError("unreachable", {
      action: "replace the session",
      state: "the relay does not say that the next may bear loss",
    });
  }

  /** Has the relay's next connection bear loss; false when it does not answer. */
  async #wish(): Promise<boolean> {
    const granted = this.#granted.promise.then(() => true);
    for (let number = 0; number < WISHES && !this.#ended.aborted; number++) {
      this.#send(Kind.wish, number);
      const late = new AbortController();
      const none = this.#clock.delay(WISH_INTERVAL, AbortSignal.any([late.signal, this.#ended]));
      const answered = await Promise.race([granted, none.then(() => false)]);
      late.abort();
      if (answered) return true;
    }
    return false;
  }

  /** Whether enough was carried in the second before; begins the next one when it is over. */
  #isBusy(now: number): boolean {
    const seconds = (now - this.#since) / 1_000;
    const isBusy = this.#carried >= BUSY * Math.max(1, seconds);
    if (seconds >= 1) {
      this.#since = now;
      this.#carried = 0;
    }
    return isBusy;
  }

  /** Sends probes until something is known, or the session carries little again. */
  async #look(): Promise<void> {
    this.#looking = true;
    const found = this.#control === "cubic" ? await this.#isLossy() : await this.#isOverdriven();
    // Nothing is looked at any more: the session has served its time.
    if (found || this.#ended.aborted) return this.#end(found === true);
    this.#looking = false;
    if (found === undefined) return;
    this.#nextLook = this.#clock.now() + this.#rest;
    this.#rest = Math.min(2 * this.#rest, LONGEST_REST);
  }

  /** Undefined when that is not known yet: the next look goes on with the same judge. */
  async #isLossy(): Promise<boolean | undefined> {
    const judge = this.#judge ??= new LossJudge();
    this.#returned = (number) => judge.returned(number, this.#clock.now());
    await this.#probe(() => {
      if (judge.verdict || this.#judged === MOST) return false;
      judge.sent(this.#number, this.#clock.now());
      return ++this.#judged > 0;
    });
    if (!judge.verdict && this.#judged < MOST) return undefined;
    this.#judge = undefined;
    this.#judged = 0;
    return judge.verdict === "lossy";
  }

  /** Undefined when the session carried too little. */
  async #isOverdriven(): Promise<boolean | undefined> {
    let [sent, returned] = [0, 0];
    this.#returned = () => returned++;
    await this.#probe(() => sent < FEW && ++sent > 0);
    if (sent < FEW) return undefined;
    await this.#clock.delay(SETTLE, this.#ended);
    // With none it is dark, which is nobody's doing.
    this.#overdriven = returned > 0 && returned < (1 - OVERDRIVEN) * sent;
    return this.#overdriven;
  }

  /** Sends probes as long as it is told to, and the session carries much. */
  async #probe(goOn: () => boolean): Promise<void> {
    const perSecond = 1_000 / INTERVAL;
    for (let sent = 1; goOn(); sent++) {
      this.#send(Kind.probe, this.#number++);
      await this.#clock.delay(INTERVAL, this.#ended);
      if (this.#ended.aborted) return;
      if (sent % perSecond === 0 && !this.#isBusy(this.#clock.now())) return;
    }
  }

  async #expire(): Promise<void> {
    await this.#clock.delay(BEARS_LOSS_FOR, this.#ended);
    this.#end(!this.#ended.aborted);
  }

  #end(outgrown: boolean): void {
    this.#looking = true;
    if (outgrown) this.#outgrown.resolve();
  }

  async #listen(onMisuse: () => void): Promise<void> {
    try {
      for (;;) {
        const message = decode(await this.#conn.readDatagram());
        if (!message) return onMisuse();
        if (message.kind === Kind.wish) this.#granted.resolve();
        else this.#returned(message.number);
      }
    } catch {
      // The connection has ended, as its owner sees.
    }
  }

  #send(kind: number, number: number): void {
    // It is lost with the connection, or as one datagram is: either is part of the answer.
    this.#conn.sendDatagram(encode({ kind, number })).catch(() => {});
  }
}
