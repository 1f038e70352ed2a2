/** How a member comes by its identity: by a join string, once. */

import { openLink, type SessionConnector } from "../endpoint.ts";
import { TunnelError } from "../errors.ts";
import { type Role, unverified, Verifier } from "../identity/credential.ts";
import { hashSecret, type Join } from "../identity/join.ts";
import type { Log } from "../log.ts";
import {
  checkIssued,
  generateMemberKeys,
  publicKeysOf,
  signingKeyOf,
  stateOf,
} from "../membership.ts";
import { parseRelayUrl } from "../names.ts";
import type { Identity, MemberStore } from "./identity.ts";

/** What it takes to join. */
export interface EnrolOptions {
  /** Keeps the identity, before it is used. */
  readonly store: MemberStore;
  /** A way to the relay, which is to be trusted by this root beside the platform's. */
  readonly connector: (trust: { root?: string }) => SessionConnector | Promise<SessionConnector>;
  readonly agent: string;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/**
 * The identity of who is given a join string. One that this member has joined by is not used again,
 * so that it may stay where a service is configured. Another one is, since whoever was revoked is
 * invited again by one; where that fails the identity that there is may still be good.
 *
 * @param kept what the member has already
 * @throws {TunnelError} `refused`, `unreachable` and what else a sign-in throws
 */
export async function identityByJoin(
  join: Join,
  kept: Identity | undefined,
  options: EnrolOptions,
): Promise<Identity> {
  const isMember = kept?.authority.x === join.authority.x && kept.name === join.name;
  if (!isMember || !isFresh(kept)) return await enrol(join, options);
  if (kept.joinedBy === await hashSecret(join.secret)) return kept;
  try {
    return await enrol(join, options);
  } catch (cause) {
    // Used up; or the relay is away, which a member outlasts and a newcomer cannot.
    if (!(cause instanceof TunnelError) || options.signal?.aborted) throw cause;
    options.log.warn("the join string is not used", {
      why: cause.parts.state,
      identity: "as before",
    });
    return kept;
  }
}

/**
 * Joins by a join string and keeps what comes of it.
 *
 * @throws {TunnelError} `refused`, `unreachable`, `protocol` and what else a sign-in throws
 */
export async function enrol(join: Join, options: EnrolOptions): Promise<Identity> {
  const { root, secret, role, name, authority } = join;
  const { store, agent, log, signal } = options;
  const relay = parseRelayUrl(join.relay);
  const keys = await generateMemberKeys(store.form);
  const { key, agreement } = await publicKeysOf(keys);
  const privateKey = await signingKeyOf(keys);
  const link = await openLink({
    relay,
    claim: { secret, publicKey: key, agreement, privateKey },
    connector: await options.connector({ root }),
    agent,
  }, signal);
  link.session.close();
  if (!link.credential) {
    throw new TunnelError("protocol", { action: "join", state: "the relay sent no credential" });
  }
  // The join string names whom to trust: a relay cannot hand out another fleet's credential.
  await checkIssued(link.credential, new Verifier(authority), { role, name, key, agreement });
  const state = stateOf(keys, link.credential);
  const joinedBy = await hashSecret(secret);
  const identity: Identity = { role, name, relay: join.relay, root, authority, joinedBy, ...state };
  await store.save(identity);
  log.info("joined", { [role]: name, relay: relay.host });
  await link.session.closed.catch(() => {}); // The credential is here; how that session ended is not news.
  return identity;
}

/** @throws {TunnelError} `usage` when a join string is for another member than the one that is meant */
export function checkFits(join: Join, role: Role, name: string | undefined): void {
  if (join.role === role && (name === undefined || join.name === name)) return;
  throw new TunnelError("usage", {
    action: "use the join string",
    state: `it is for ${join.role} ${join.name}, not for ${role} ${name ?? ""}`.trim(),
    remedy: `ask for one of \`tunnel invite ${role} ${name ?? "NAME"}\``,
  });
}

/** Whether a credential has not expired, as far as its holder can tell. */
export function isFresh({ credential }: Pick<Identity, "credential">): boolean {
  try {
    return unverified(credential).expiresAt > Date.now();
  } catch {
    return true; // The relay is the judge of what it issued.
  }
}
