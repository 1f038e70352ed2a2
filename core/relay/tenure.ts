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

/** The sessions that are signed in at one relay. */
export class Tenures {
  readonly #now: () => number;
  readonly #members = new Map<string, Map<Tenure, Timer>>();

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
    const timers = this.#members.get(nameOf(member)) ?? new Map<Tenure, Timer>();
    this.#members.set(nameOf(member), timers.set(tenure, undefined));
    this.#wait(tenure);
    return tenure;
  }

  /** The session has ended. */
  end(tenure: Tenure): void {
    const name = nameOf(tenure.member);
    const timers = this.#members.get(name);
    clearTimeout(timers?.get(tenure));
    timers?.delete(tenure);
    if (timers?.size === 0) this.#members.delete(name);
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

  #siblings(member: Principal, instance: string): Tenure[] {
    const held = this.#members.get(nameOf(member))?.keys() ?? [];
    return [...held].filter((tenure) => tenure.instance === instance);
  }

  #wait(tenure: Tenure): void {
    const timers = this.#members.get(nameOf(tenure.member));
    if (!timers?.has(tenure)) return;
    clearTimeout(timers.get(tenure));
    const left = tenure.expiresAt - this.#now();
    if (left > 0) {
      timers.set(tenure, setTimeout(() => this.#wait(tenure), Math.min(left, LONGEST_WAIT)));
      return;
    }
    this.end(tenure);
    const { member: { role, name }, expiresAt, session } = tenure;
    const end = new Date(expiresAt).toISOString();
    const reason = `the credential of ${role} ${name} expired at ${end}`;
    session.close(closeInfo(CloseCode.refused, reason));
  }
}

type Timer = ReturnType<typeof setTimeout> | undefined;

function nameOf({ role, name }: Principal): string {
  return `${role}:${name}`;
}

function extend(
  tenure: Tenure,
  { credential, issuedAt, expiresAt }: { credential: string; issuedAt: number; expiresAt: number },
): void {
  Object.assign(tenure, { credential, issuedAt, expiresAt });
}
