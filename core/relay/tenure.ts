/**
 * How long sessions may last: until the credential ends that their member has shown, unless it has a
 * newer one by then. The sessions of one process are one member's: what one of them renews, all have.
 */

import type { Principal } from "../identity/credential.ts";
import { CloseCode, closeInfo, type Session } from "../transport.ts";

/**
 * Milliseconds of the longest single wait: less than setTimeout can, and short enough to follow a
 * clock that is set.
 */
export const LONGEST_WAIT = 600_000;

/** A session, and the credential that it stands on. */
export interface Tenure {
  readonly member: Principal;
  /** Names the process. */
  readonly instance: string;
  readonly session: Session;
  credential: string;
  /** Milliseconds since the epoch. */
  issuedAt: number;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

/** The sessions that are signed in at one relay. They share one timer: thousands would cost more memory. */
export class Tenures {
  readonly #now: () => number;
  readonly #members = new Map<string, readonly Tenure[]>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer fires, milliseconds since the epoch; Infinity without one. */
  #due = Infinity;

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Closes the session when its credential ends. Where its process has shown a newer one on another
   * session, as when it renewed while it signed in here, that one counts.
   */
  begin(member: Principal, instance: string, session: Session, credential: string): Tenure {
    const { issuedAt, expiresAt } = member;
    const tenure: Tenure = { member, instance, session, credential, issuedAt, expiresAt };
    for (const other of this.#siblings(member, instance)) {
      if (other.issuedAt > tenure.issuedAt) extend(tenure, other);
    }
    this.#members.set(nameOf(member), this.#of(member).concat(tenure));
    this.#wait(tenure);
    return tenure;
  }

  /** The session has ended. */
  end(tenure: Tenure): void {
    const left = this.#of(tenure.member).filter((other) => other !== tenure);
    if (left.length > 0) this.#members.set(nameOf(tenure.member), left);
    else this.#members.delete(nameOf(tenure.member));
    if (this.#members.size === 0) this.#stop();
  }

  /** A session's process has a newer credential: all of its sessions go on with that. */
  renew(
    tenure: Tenure,
    newer: { credential: string; issuedAt: number; expiresAt: number },
  ): void {
    for (const own of this.#siblings(tenure.member, tenure.instance)) {
      extend(own, newer);
      this.#wait(own);
    }
  }

  #of(member: Principal): readonly Tenure[] {
    return this.#members.get(nameOf(member)) ?? [];
  }

  #siblings(member: Principal, instance: string): Tenure[] {
    return this.#of(member).filter((tenure) => tenure.instance === instance);
  }

  #wait(tenure: Tenure): void {
    const left = tenure.expiresAt - this.#now();
    if (left <= 0) this.#expire(tenure);
    else this.#lookIn(left);
  }

  #lookIn(milliseconds: number): void {
    const wait = Math.min(milliseconds, LONGEST_WAIT);
    const now = this.#now();
    const due = now + wait;
    // One that should have fired is late because the clock was set.
    if (due >= this.#due && this.#due > now) return;
    this.#stop();
    this.#due = due;
    this.#timer = setTimeout(() => this.#look(), wait);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = Infinity;
  }

  #look(): void {
    this.#stop();
    const now = this.#now();
    let next = Infinity;
    for (const tenures of [...this.#members.values()]) {
      for (const tenure of tenures) {
        if (tenure.expiresAt <= now) this.#expire(tenure);
        else next = Math.min(next, tenure.expiresAt);
      }
    }
    if (next < Infinity) this.#lookIn(next - now);
  }

  #expire(tenure: Tenure): void {
    this.end(tenure);
    const { member: { role, name }, expiresAt, session } = tenure;
    const end = new Date(expiresAt).toISOString();
    const reason = `the credential of ${role} ${name} expired at ${end}`;
    session.close(closeInfo(CloseCode.refused, reason));
  }
}

function nameOf({ role, name }: Principal): string {
  return `${role}:${name}`;
}

function extend(
  tenure: Tenure,
  { credential, issuedAt, expiresAt }: { credential: string; issuedAt: number; expiresAt: number },
): void {
  Object.assign(tenure, { credential, issuedAt, expiresAt });
}
