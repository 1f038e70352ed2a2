/**
 * Who may be at a relay and reach what there: the policy as it is now, and what is cut when it
 * changes or when time is up.
 */

import { TunnelError } from "../errors.ts";
import type { Principal } from "../identity/credential.ts";
import type { Log } from "../log.ts";
import type { Rights } from "../policy/change.ts";
import type { DialSubject, Policy } from "../policy/policy.ts";
import type { Store } from "../store.ts";
import { CloseCode, closeInfo, type Session } from "../transport.ts";
import { LiveDials } from "./live_dials.ts";
import { PolicyWatch } from "./policy_watch.ts";

export interface AccessOptions {
  readonly store: Store;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds between two looks at the store's policy; default 500. */
  readonly interval?: number;
}

/** A dial that was let in. */
export interface Admission {
  /** Fires when it is to end, with the reason why. */
  readonly signal: AbortSignal;
  /** Call it when it has ended. */
  leave(): void;
}

export class Access {
  readonly #now: () => number;
  readonly #watch: PolicyWatch;
  readonly #dials = new LiveDials();
  readonly #sessions = new Map<Session, Principal>();
  #started?: Promise<void>;

  constructor({ store, log, now, interval }: AccessOptions) {
    this.#now = now;
    const onTick = (policy: Policy, isNew: boolean) => this.#review(policy, isNew);
    this.#watch = new PolicyWatch({ store, log, onTick, interval });
  }

  /**
   * Settles when the policy was read once; follows it until the signal fires.
   *
   * @throws {TunnelError} what the store says when it cannot be read
   */
  start(signal: AbortSignal): Promise<void> {
    return this.#started ??= this.#watch.refresh().then(() => void this.#watch.run(signal));
  }

  /** Looks at the policy now; settles when what was changed before counts. */
  refresh(): Promise<void> {
    return this.#watch.refresh();
  }

  /** As it was when last looked at. */
  get policy(): Policy {
    return this.#watch.current;
  }

  /** Devices that may be here, whether they are or not. */
  get devices(): number {
    return this.#watch.current.devices;
  }

  /** @throws {TunnelError} `refused` when the credential was revoked */
  checkHolder(member: Principal): void {
    this.#watch.current.checkHolder(member);
  }

  isRevoked(member: Principal): boolean {
    return this.#watch.current.revokedAt(member) !== undefined;
  }

  /** As {@linkcode Policy.issuingTime}, by the policy of this moment. */
  async issuingTime(holder: Pick<Principal, "role" | "name">, at: number): Promise<number> {
    await this.refresh();
    return this.#watch.current.issuingTime(holder, at);
  }

  /** Closes the session when its member's credential is revoked; the result lets it go. */
  watchSession(session: Session, member: Principal): () => void {
    this.#sessions.set(session, member);
    // It may have been revoked since the credential was looked at.
    this.#reviewSession(this.#watch.current, session, member);
    return () => this.#sessions.delete(session);
  }

  /** What an operator may do beside dialling. */
  rights(operator: string): Required<Rights> {
    return this.#watch.current.rights(operator);
  }

  /** Whether an operator may know of a device: an admin, or with a grant for anything there. */
  mayKnow(operator: string, device: string): boolean {
    const { current } = this.#watch;
    return current.rights(operator).admin || current.names(operator, device, this.#now());
  }

  /** What {@linkcode Access.mayKnow} depends on, as a text to compare. */
  reach(operator: string): string {
    const { current } = this.#watch;
    return current.rights(operator).admin ? "all" : current.reach(operator, this.#now());
  }

  /**
   * The same for one device, told to whoever asks for it.
   *
   * @throws {TunnelError} `refused`
   */
  async checkMayKnow(operator: string, device: string): Promise<void> {
    if (this.mayKnow(operator, device)) return;
    // A grant may be as new as the question.
    await this.refresh();
    if (this.mayKnow(operator, device)) return;
    throw new TunnelError("refused", {
      action: `look for ${device}`,
      state: `operator ${operator} has no grant for it`,
      remedy: `have an admin give one: tunnel grant ${operator} '${device}:22'`,
    });
  }

  /**
   * Lets a dial in.
   *
   * @param stop ends it too
   * @throws {TunnelError} `refused` when no grant has it
   */
  async admit(subject: DialSubject, stop: AbortSignal): Promise<Admission> {
    const until = await this.#authorise(subject);
    const controller = new AbortController();
    const cut = (error: TunnelError) => controller.abort(error);
    const leave = this.#dials.add({ ...subject, until, cut });
    return { signal: AbortSignal.any([controller.signal, stop]), leave };
  }

  async #authorise(subject: DialSubject): Promise<number> {
    try {
      return this.#watch.current.authorise(subject, this.#now());
    } catch (cause) {
      if (!(cause instanceof TunnelError)) throw cause;
      // A grant may be as new as the dial.
      await this.refresh();
      return this.#watch.current.authorise(subject, this.#now());
    }
  }

  #review(policy: Policy, isNew: boolean): void {
    const now = this.#now();
    if (!isNew) return this.#dials.expire(policy, now);
    this.#dials.review(policy, now);
    for (const [session, member] of this.#sessions) this.#reviewSession(policy, session, member);
  }

  #reviewSession(policy: Policy, session: Session, member: Principal): void {
    try {
      policy.checkHolder(member);
    } catch (cause) {
      if (!(cause instanceof TunnelError)) throw cause;
      session.close(closeInfo(CloseCode.refused, cause.parts.state));
    }
  }
}
