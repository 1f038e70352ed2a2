/** The member's half of renewals: when one is due, how it is asked for, and what comes of it. */

import { Backoff } from "./backoff.ts";
import { delay } from "./deadline.ts";
import type { LinkSource } from "./places.ts";
import { toTunnelError, type TunnelError } from "./errors.ts";
import { type Principal, type Role, unverified, type Verifier } from "./identity/credential.ts";
import { makeProof, renewalSubject } from "./identity/proof.ts";
import {
  checkIssued,
  formOf,
  generateMemberKeys,
  type MemberKeys,
  type Membership,
  type MemberState,
  publicKeysOf,
  signingKeyOf,
  stateOf,
} from "./membership.ts";
import type { Log } from "./log.ts";

/** The part of its life that a credential has left when it is renewed, at most. */
const LEFT_AT_MOST = 1 / 3;
/** At least: each renewal is due at random in between, so that a fleet does not renew at once. */
const LEFT_AT_LEAST = 1 / 4;
/** Milliseconds for a link to the relay. */
const LINK_TIMEOUT = 20_000;
/** Milliseconds between attempts: at first, at most, and at least. */
const RETRY = { first: 30_000, cap: 3_600_000, least: 1_000 };
/** Milliseconds of the longest single wait; setTimeout can no more than 2^31 - 1. */
const LONGEST_WAIT = 600_000;

export interface RenewalOptions {
  readonly membership: Membership;
  readonly role: Role;
  readonly name: string;
  /** By the authority of the fleet. */
  readonly verifier: Verifier;
  readonly links: LinkSource;
  /** `host:port` of the relay as it is dialled. */
  readonly audience: string;
  /** Keeps what came, before it is used. A rejection means that the renewal has failed. */
  readonly keep: (next: MemberState, before: MemberState) => Promise<void>;
  readonly log: Log;
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly now?: () => number;
  /** 0 to 1; default `Math.random`. */
  readonly random?: () => number;
}

/** Renews the credential of a running process over its session. */
export class Renewal {
  readonly #options: RenewalOptions;
  readonly #now: () => number;
  /** One at a time: each starts from what the one before has made. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Renews whenever it is due, and says in the log what became of it, until the signal fires. An
   * operator who is refused is not to be renewed, and is told so once; a device tries again.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { membership, role, random = Math.random } = this.#options;
    let due = this.#dueOf(unverified(membership.credential), random());
    let backoff = this.#newBackoff();
    while (!signal.aborted) {
      await this.#until(due, signal);
      if (signal.aborted) return;
      try {
        const life = await this.renew(signal);
        // By this end's clock since it came, so that a clock that is off does not ask at once again.
        const left = (life.expiresAt - life.issuedAt) * part(random());
        due = this.#now() + (life.expiresAt - life.issuedAt) - left;
        backoff = this.#newBackoff();
      } catch (cause) {
        if (signal.aborted) return;
        const error = toTunnelError(cause, "renew the credential", "reset");
        const final = role === "operator" && error.code === "refused";
        due = this.#now() + this.#waitAfter(backoff);
        this.#report(error, final ? undefined : due);
        if (final) return;
      }
    }
  }

  /**
   * A new credential for the same keys, kept and used from now on.
   *
   * @throws {TunnelError} `refused`, `protocol`, `unreachable`, `timeout`, `reset`, `aborted`, and
   * what `keep` threw
   */
  renew(signal?: AbortSignal): Promise<Principal> {
    return this.#queue(() => this.#ask(false, signal));
  }

  /**
   * New keys, and a credential for them. Handshakes under way and channels go on as they are.
   *
   * @throws {TunnelError} as {@linkcode Renewal.renew}
   */
  rotate(signal?: AbortSignal): Promise<Principal> {
    return this.#queue(() => this.#ask(true, signal));
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work);
    this.#last = result.catch(() => {}); // Its caller sees it; the next only waits for it.
    return result;
  }

  async #ask(rotating: boolean, signal?: AbortSignal): Promise<Principal> {
    const { membership, role, name, verifier, links, audience, keep, log } = this.#options;
    const link = await links.link(LINK_TIMEOUT, signal);
    const before = membership.state;
    const keys = rotating ? await generateMemberKeys(formOf(before)) : before;
    const { key, agreement } = await publicKeysOf(keys);
    const nonce = await link.nonce(signal);
    const subject = renewalSubject(before.credential, key, agreement);
    const prove = async (keys: MemberKeys) =>
      makeProof({ privateKey: await signingKeyOf(keys), nonce, audience, subject });
    const credential = await link.renew({
      credential: before.credential,
      proof: await prove(before),
      rotate: rotating ? { key, agreement, proof: await prove(keys) } : undefined,
    }, signal);
    const expected = { role, name, key, agreement };
    const principal = await checkIssued(credential, verifier, expected, this.#now());
    const next = stateOf(keys, credential);
    await keep(next, before);
    await membership.replace(next);
    const until = instant(principal.expiresAt);
    log.info(rotating ? "keys rotated" : "credential renewed", { [role]: name, until });
    return principal;
  }

  /** When to renew a credential that was kept from before, milliseconds since the epoch. */
  #dueOf({ issuedAt, expiresAt }: { issuedAt: number; expiresAt: number }, random: number): number {
    return expiresAt - (expiresAt - issuedAt) * part(random);
  }

  #newBackoff(): Backoff {
    return new Backoff({ ...RETRY, random: this.#options.random });
  }

  /** Milliseconds until the next attempt; one still comes before the credential ends. */
  #waitAfter(backoff: Backoff): number {
    const left = unverified(this.#options.membership.credential).expiresAt - this.#now();
    return Math.max(RETRY.least, Math.min(backoff.next(), left > 0 ? left / 2 : RETRY.cap));
  }

  #report({ parts }: TunnelError, due: number | undefined): void {
    const { membership, role, name, log } = this.#options;
    const { expiresAt } = unverified(membership.credential);
    log.warn("the credential is not renewed", {
      [role]: name,
      ends: instant(expiresAt),
      why: parts.remedy ? `${parts.state}; ${parts.remedy}` : parts.state,
      again: due === undefined ? undefined : instant(due),
    });
  }

  /** Waits in steps, so that a clock that is set, or a machine that slept, is noticed. */
  async #until(due: number, signal: AbortSignal): Promise<void> {
    for (let left; !signal.aborted && (left = due - this.#now()) > 0;) {
      await delay(Math.min(left, LONGEST_WAIT), signal);
    }
  }
}

function part(random: number): number {
  return LEFT_AT_LEAST + (LEFT_AT_MOST - LEFT_AT_LEAST) * random;
}

function instant(time: number): string {
  return new Date(time).toISOString();
}
