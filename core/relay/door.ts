/**
 * Everything up to a sign-in: who may come in at all, how many at once and how often from one address,
 * and for how long. Nothing here waits.
 */

import { Bucket, type Rate, recovery } from "../bucket.ts";
import type { TunnelError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Incoming, RemoteAddress } from "../transport.ts";
import { addressKey } from "./address.ts";
import type { RefusingLimit, RelayLimits } from "./limits.ts";
import { QuietLog } from "./quiet_log.ts";
import type { Refusals } from "./refusals.ts";
import { type Held, Table } from "./table.ts";

/** Addresses remembered that have no connection now. */
const MAX_ADDRESSES = 16_384;
/** Refusals in words: each holds a place until its peer has read it, so most get none in a flood. */
const WORDS: Rate = { perSecond: 20, burst: 20 };
/** Milliseconds for a sign-in whose only end is a refusal. */
const FAREWELL = 2_000;
/** By how much the time of newcomers shrinks when places are scarce. */
const HURRY = 4;

export interface DoorOptions {
  readonly limits: RelayLimits;
  readonly refusals: Refusals;
  readonly log: Log;
  /** Milliseconds from any beginning. */
  readonly clock: () => number;
}

/** What is remembered of an address. */
interface Neighbour {
  pending: number;
  readonly rate: Bucket;
  readonly failures: Bucket;
  pausedUntil: number;
}

export class Door {
  readonly options: DoorOptions;
  /** For addresses whose joins pause. */
  readonly pauses: QuietLog;
  readonly #addresses: Table<Neighbour>;
  readonly #words: Bucket;
  /** Sessions, those included that have not signed in. */
  sessions = 0;
  /** Of those, the ones that have not signed in. */
  pending = 0;
  /** Of those, the ones whose address has not proven itself. */
  handshakes = 0;

  constructor(options: DoorOptions) {
    const { limits, log, clock } = options;
    const { addressRate, joinFailures, joinPause } = limits;
    this.options = options;
    this.pauses = new QuietLog(log, clock);
    this.#words = new Bucket(WORDS, clock);
    this.#addresses = new Table({
      make: () => ({
        pending: 0,
        rate: new Bucket(addressRate, clock),
        failures: new Bucket(joinFailures, clock),
        pausedUntil: 0,
      }),
      most: MAX_ADDRESSES,
      // An address that is forgotten sooner would have its bursts anew.
      keep: Math.max(recovery(addressRate), recovery(joinFailures), joinPause),
      now: clock,
    });
  }

  /** A place for a connection; without one it is refused. */
  enter(incoming: Incoming): Guest | undefined {
    const isProven = incoming.remote !== undefined;
    const full = this.#full(isProven);
    if (!full) return new Guest(this, isProven);
    incoming.refuse();
    const { pending, sessions } = this;
    this.options.refusals.count(full, { pending, sessions });
  }

  /** What is remembered of an address, for as long as it is held. */
  neighbour(hostname: string): Held<Neighbour> {
    return this.#addresses.hold(addressKey(hostname));
  }

  /** True when places for newcomers are scarce. */
  get isCrowded(): boolean {
    return this.pending * 2 > this.options.limits.pending;
  }

  /** Whether one more refusal may be given in words. */
  mayExplain(): boolean {
    return !this.isCrowded && this.#words.take();
  }

  #full(isProven: boolean): RefusingLimit | undefined {
    const { sessions, pending, handshakes } = this.options.limits;
    if (this.sessions >= sessions) return "sessions";
    if (this.pending >= pending) return "pending";
    if (!isProven && this.handshakes >= handshakes) return "handshakes";
  }
}

/** One connection from its coming to its end, and all that is reserved for it. */
export class Guest {
  readonly #door: Door;
  #deadline: number;
  #seats: readonly (() => void)[] = [];
  #isProven: boolean;
  #isPending = true;
  #hasLeft = false;
  #from = "";
  #address: Held<Neighbour> | undefined;
  #refusal: TunnelError | undefined;

  constructor(door: Door, isProven: boolean) {
    this.#door = door;
    this.#deadline = this.#newDeadline();
    this.#isProven = isProven;
    door.sessions++;
    door.pending++;
    if (!isProven) door.handshakes++;
  }

  /** It is served from now on: its time begins anew. */
  begin(): void {
    this.#deadline = this.#newDeadline();
  }

  #newDeadline(): number {
    const { limits, clock } = this.#door.options;
    return clock() + (this.#door.isCrowded ? limits.signInTimeout / HURRY : limits.signInTimeout);
  }

  /** Milliseconds that are left to be served, and then for everything up to its sign-in, 1 or more. */
  get timeout(): number {
    const left = Math.max(1, this.#deadline - this.#door.options.clock());
    return this.#refusal ? Math.min(left, FAREWELL) : left;
  }

  /**
   * Takes a place for its address. Where there is none it is turned away at once, or let in only to be
   * told why ({@linkcode Guest.checkWelcome}).
   *
   * @throws {TunnelError} `limit`
   */
  arrive({ hostname }: RemoteAddress): void {
    const { limits, refusals } = this.#door.options;
    this.#from = hostname;
    this.#address = this.#door.neighbour(hostname);
    const facts = this.#address.value;
    facts.pending++;
    const isTooOften = !facts.rate.take();
    if (!isTooOften && facts.pending <= limits.addressPending) return;
    const [limit, state] = isTooOften
      ? ["address-rate", `${hostname} connects too often`] as const
      : ["address-pending", `too many connections of ${hostname} have not signed in`] as const;
    const refusal = refusals.refuse(limit, "connect", state, { from: hostname });
    if (!this.#door.mayExplain()) throw refusal;
    this.#refusal = refusal;
  }

  /** The peer has shown that it hears what is sent to its address. */
  proven(): void {
    if (this.#isProven) return;
    this.#isProven = true;
    this.#door.handshakes--;
  }

  /** @throws {TunnelError} `limit` when it was let in only to be told so */
  checkWelcome(): void {
    if (this.#refusal) throw this.#refusal;
  }

  /** @throws {TunnelError} `limit` when too many joins from its address have failed */
  checkJoin(): void {
    const { clock, refusals } = this.#door.options;
    if (clock() >= (this.#address?.value.pausedUntil ?? 0)) return;
    const state = `too many joins from ${this.#from} have failed`;
    throw refusals.refuse("join-failures", "join", state, { from: this.#from });
  }

  /** Counts against its address. */
  joinFailed(): void {
    const { limits, clock } = this.#door.options;
    const facts = this.#address?.value;
    if (!facts || facts.failures.take() || clock() < facts.pausedUntil) return;
    facts.pausedUntil = clock() + limits.joinPause;
    const seconds = Math.ceil(limits.joinPause / 1_000);
    const details = { from: this.#from, seconds };
    this.#door.pauses.warn("too many joins have failed: no more are taken", details);
  }

  /** Has something given back when it leaves. */
  keep(release: () => void): void {
    this.#seats = this.#seats.concat(release); // Has room for no more than there is.
  }

  /** It has signed in: its place among the newcomers is free. */
  signedIn(): void {
    if (!this.#isPending) return;
    this.#isPending = false;
    this.proven();
    this.#door.pending--;
    if (!this.#address) return;
    this.#address.value.pending--;
    this.#address.release();
    this.#address = undefined;
  }

  /** Gives back all that is reserved. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.signedIn();
    for (const release of this.#seats) release();
    this.#door.sessions--;
  }
}
