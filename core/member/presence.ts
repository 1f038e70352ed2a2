/** A member at its relay: signed in, signed in again after a loss, its credential renewed in time. */

import { abortError } from "../deadline.ts";
import { type SessionConnector, superviseEndpoint } from "../endpoint.ts";
import { describe } from "../errors.ts";
import { Verifier } from "../identity/credential.ts";
import { audienceOf } from "../identity/proof.ts";
import type { LinkSource } from "../places.ts";
import type { Link } from "../link.ts";
import type { Log } from "../log.ts";
import { Membership } from "../membership.ts";
import { parseRelayUrl } from "../names.ts";
import { Renewal } from "../renewal.ts";
import type { Supervisor } from "../supervisor.ts";
import type { Identity, MemberStore } from "./identity.ts";

export interface PresenceOptions {
  readonly identity: Identity;
  /** Keeps what renewals make. */
  readonly store: MemberStore;
  readonly connector: SessionConnector;
  /** As peers and logs see the program, at most 100 characters. */
  readonly agent: string;
  readonly log: Log;
  /** A device's epoch now. */
  readonly epoch?: () => string;
  /** A link is up, the first or the next one. @param outgrown as a supervisor tells it */
  readonly onUp?: (link: Link, outgrown?: Link) => void;
  /** Whether a failure of the very first attempt is final: default false. */
  readonly failFast?: boolean;
}

export class Presence {
  readonly identity: Identity;
  readonly membership: Membership;
  readonly supervisor: Supervisor;
  readonly renewal: Renewal;
  /** Fulfils with the first link; rejects with what ended the presence before there was one. */
  readonly first: Promise<Link>;
  /** Fulfils after {@linkcode Presence.close}; rejects with what ended it for good before. */
  readonly closed: Promise<void>;
  readonly #log: Log;
  readonly #first = Promise.withResolvers<Link>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #ending = new AbortController();

  private constructor(membership: Membership, options: PresenceOptions) {
    const { identity, log } = options;
    this.#log = log;
    this.first = this.#first.promise;
    this.closed = this.#closed.promise;
    for (const promise of [this.first, this.closed]) promise.catch(() => {}); // Asking is optional.
    this.identity = identity;
    this.membership = membership;
    this.supervisor = superviseEndpoint({
      relay: parseRelayUrl(identity.relay),
      claim: () => membership.claim(),
      connector: options.connector,
      agent: options.agent,
      epoch: options.epoch,
      log,
      onUp: (link, outgrown) => {
        this.#first.resolve(link);
        options.onUp?.(link, outgrown);
      },
      supervisor: { failFast: options.failFast },
    });
    this.renewal = renewalOf(options, membership, this.supervisor);
  }

  /** @throws {TunnelError} `usage` when the identity's keys are none */
  static async of(options: PresenceOptions): Promise<Presence> {
    return new Presence(await Membership.of(options.identity), options);
  }

  /** Signs in, and stays. Once. */
  start(): void {
    const { signal } = this.#ending;
    this.renewal.run(signal)
      .catch((cause) => this.#log.error("renewals ended", { why: describe(cause) }));
    this.supervisor.run(signal).finally(() => this.#ending.abort())
      .then(this.#closed.resolve, this.#closed.reject);
    const cancelled = () => this.#first.reject(abortError(signal, "connect"));
    this.closed.then(cancelled, this.#first.reject);
  }

  /** Signs out. Never rejects. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.closed.catch(() => {}); // Told to who asks for it.
  }
}

/** The renewals of a member, over its own session, kept in its store. */
export function renewalOf(
  { identity, store, log }: Pick<PresenceOptions, "identity" | "store" | "log">,
  membership: Membership,
  links: LinkSource,
): Renewal {
  const { role, name, authority, relay } = identity;
  return new Renewal({
    ...{ membership, role, name, links, log },
    verifier: new Verifier(authority),
    audience: audienceOf(parseRelayUrl(relay)),
    async keep(next, before) {
      if (await store.replace({ role, name }, before.credential, next)) return;
      log.warn("another identity is kept by now: the new credential is not", { [role]: name });
    },
  });
}
