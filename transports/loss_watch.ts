/**
 * What the two ends of a QUIC session say to each other in datagrams, so that a session can be had
 * that bears the loss of the way. Each is five bytes:
 *
 *     u8 kind | u32 number (big-endian)
 *
 *     0 probe   the relay sends it back; those that stay out are lost
 *     1 wish    the next connection is to bear loss; the relay sends it back once it has taken note
 *
 * The client asks, and the relay answers members alone.
 */

import { Bucket } from "../core/bucket.ts";
import { delay } from "../core/deadline.ts";
import { LossJudge } from "./congestion.ts";

const PROBE = 0;
const WISH = 1;
const LENGTH = 5;

/** Bytes a second from which on it matters how a session reacts to loss. */
const BUSY = 32 * 1024;
/** Milliseconds between probes, and the most of them in one look at the way. */
const INTERVAL = 10;
const MOST = 6_000;
/** Milliseconds until the next look at a way that was not lossy: the first time, and at most. */
const REST = 60_000;
const LONGEST_REST = 16 * REST;
/** Milliseconds between wishes that stay without an answer, and how many there are. */
const WISH_INTERVAL = 200;
const WISHES = 10;

/** Datagrams of a member that are answered; a client sends 100 probes a second. */
const ANSWERS = { perSecond: 150, burst: 300 };
/** Milliseconds for which a wish holds, if nobody comes. */
const WISH_HOLDS = 2_000;

/** What is used of a QUIC connection. */
export type Datagrams = Pick<Deno.QuicConn, "sendDatagram" | "readDatagram">;

/** What is used of time. */
export interface Clock {
  /** Milliseconds from any beginning, never less than before. */
  now(): number;
  delay(milliseconds: number, signal: AbortSignal): Promise<void>;
}

const PLATFORM: Clock = { now: () => performance.now(), delay };

export interface WatchOptions {
  readonly conn: Datagrams;
  /** Fires when the connection has ended. */
  readonly ended: AbortSignal;
  /** Something came that cannot be. */
  readonly onMisuse: () => void;
  readonly clock?: Clock;
}

/** The client's half: looks at the way while the session carries much, and wishes. */
export class LossWatch {
  /** Fulfils when the way was found lossy. */
  readonly lossy: Promise<void>;
  readonly #conn: Datagrams;
  readonly #ended: AbortSignal;
  readonly #found = Promise.withResolvers<void>();
  readonly #granted = Promise.withResolvers<void>();
  readonly #clock: Clock;
  /** Of the next probe. */
  #number = 0;
  #judge?: LossJudge;
  #carried = 0;
  #since: number;
  #nextLook = -Infinity;
  #rest = REST;

  constructor({ conn, ended, onMisuse, clock = PLATFORM }: WatchOptions) {
    this.lossy = this.#found.promise;
    this.#conn = conn;
    this.#ended = ended;
    this.#clock = clock;
    this.#since = clock.now();
    this.#listen(onMisuse);
  }

  /** The session has carried so many bytes, either way. */
  carried(bytes: number): void {
    this.#carried += bytes;
    if (this.#judge || this.#carried < BUSY) return;
    const now = this.#clock.now();
    if (this.#isBusy(now) && now >= this.#nextLook) this.#look();
  }

  /** Has the relay's next connection bear loss; false when it does not answer. */
  async wish(): Promise<boolean> {
    const granted = this.#granted.promise.then(() => true);
    for (let number = 0; number < WISHES && !this.#ended.aborted; number++) {
      this.#send(WISH, number);
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

  /** Sends probes until it is decided, or the session carries little again. */
  async #look(): Promise<void> {
    const judge = this.#judge = new LossJudge();
    const perSecond = 1_000 / INTERVAL;
    for (let sent = 1; sent <= MOST && !judge.verdict; sent++) {
      judge.sent(this.#number, this.#clock.now());
      this.#send(PROBE, this.#number++);
      await this.#clock.delay(INTERVAL, this.#ended);
      if (this.#ended.aborted) return;
      if (sent % perSecond === 0 && !this.#isBusy(this.#clock.now())) break;
    }
    // The judge stays, so that nothing is looked at any more: the session has served its time.
    if (judge.verdict === "lossy") return this.#found.resolve();
    this.#judge = undefined;
    this.#nextLook = this.#clock.now() + this.#rest;
    this.#rest = Math.min(2 * this.#rest, LONGEST_REST);
  }

  async #listen(onMisuse: () => void): Promise<void> {
    try {
      for (;;) {
        const message = decode(await this.#conn.readDatagram());
        if (!message) return onMisuse();
        if (message.kind === WISH) this.#granted.resolve();
        else this.#judge?.returned(message.number, this.#clock.now());
      }
    } catch {
      // The connection has ended, as its owner sees.
    }
  }

  #send(kind: number, number: number): void {
    // It is lost with the connection, or as one datagram is: either is part of the answer.
    this.#conn.sendDatagram(encode(kind, number)).catch(() => {});
  }
}

export interface AnswerOptions extends Omit<WatchOptions, "ended"> {
  /** Asked for each datagram: those of strangers are misuse. */
  readonly isMember: () => boolean;
  /** The next connection from there is to bear loss. Once a session. */
  readonly onWish: () => void;
}

/** The relay's half. Never rejects. */
export async function answerDatagrams(
  { conn, onMisuse, isMember, onWish, clock = PLATFORM }: AnswerOptions,
): Promise<void> {
  const bucket = new Bucket(ANSWERS, clock.now);
  let hasWished = false;
  try {
    for (;;) {
      const datagram = await conn.readDatagram();
      const message = decode(datagram);
      if (!message || !isMember() || !bucket.take()) return onMisuse();
      if (message.kind === WISH && !hasWished) {
        hasWished = true;
        onWish();
      }
      await conn.sendDatagram(datagram);
    }
  } catch {
    // The connection has ended, as its owner sees.
  }
}

/**
 * Who has wished, by address. Deno's QUIC shows nothing of a connection before it is accepted, and
 * how it reacts to loss is fixed by then: so whoever comes while a wish waits gets what was wished.
 */
export class Wishes {
  readonly #until = new Map<string, number>();
  readonly #now: () => number;

  /** @param now milliseconds from any beginning, never less than before */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether the next connection is to bear loss. */
  get pending(): boolean {
    const now = this.#now();
    for (const [hostname, until] of this.#until) if (until <= now) this.#until.delete(hostname);
    return this.#until.size > 0;
  }

  add(hostname: string): void {
    this.#until.set(hostname, this.#now() + WISH_HOLDS);
  }

  /** A connection from there has been accepted. */
  grant(hostname: string): void {
    this.#until.delete(hostname);
  }
}

function encode(kind: number, number: number): Uint8Array {
  const datagram = new Uint8Array(LENGTH);
  datagram[0] = kind;
  new DataView(datagram.buffer).setUint32(1, number);
  return datagram;
}

function decode(datagram: Uint8Array): { kind: number; number: number } | undefined {
  if (datagram.length !== LENGTH || datagram[0]! > WISH) return undefined;
  const { buffer, byteOffset } = datagram;
  return { kind: datagram[0]!, number: new DataView(buffer, byteOffset).getUint32(1) };
}
