/** How a command comes by its identity: a kept one, a join string, or the relay of the same home. */

import { TunnelError } from "../core/errors.ts";
import { decodeJoin, hashSecret, type Join, newSecret } from "../core/identity/join.ts";
import { importPrivateKey } from "../core/identity/keys.ts";
import { type Authority, type Role, unverified, Verifier } from "../core/identity/credential.ts";
import { isSigned } from "../core/identity/signed.ts";
import { openLink } from "../core/endpoint.ts";
import { checkIssued, generateMemberKeys, publicKeysOf } from "../core/membership.ts";
import { parseRelayUrl } from "../core/names.ts";
import { EVERYTHING } from "../core/policy/grant.ts";
import type { Identity } from "../stores/home.ts";
import { localAuthor, userName } from "./author.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { readText } from "./input.ts";
import { takeSigned } from "./signed.ts";

/** Milliseconds that an invitation to oneself is good for. */
const SELF_INVITE = 60_000;

/**
 * The identity of a device (by its ID) or of this home's operator.
 *
 * A join string that this home has joined by is not used again, so that it may stay on the command
 * line of a service. Another one is, since whoever was revoked is invited again by one; where that
 * fails the identity that there is may still be good.
 *
 * @throws {TunnelError} `refused` when there is none and no way to get one
 */
export async function identityFor(
  context: Context,
  role: Role,
  name: string | undefined,
  signal: AbortSignal,
): Promise<Identity> {
  const { options, home, log } = context;
  const file = await home.identity(role, name);
  const kept = file?.value;
  if (file?.warning) log.warn(file.warning);
  const given = options.text("join");
  if (given !== undefined) {
    const text = await readText(given, "join string", "--join @FILE");
    if (isSigned(text)) return await takeSigned(context, text, role, name);
    const join = decodeJoin(text);
    checkFits(join, role, name);
    const isMember = kept?.authority.x === join.authority.x && kept.name === join.name;
    if (!isMember || !isFresh(kept)) return await enrol(context, join, signal);
    if (kept.joinedBy === await hashSecret(join.secret)) return kept;
    try {
      return await enrol(context, join, signal);
    } catch (cause) {
      // Used up; or the relay is away, which a member outlasts and a newcomer cannot.
      if (!(cause instanceof TunnelError) || signal.aborted) throw cause;
      log.warn("the join string is not used", { why: cause.parts.state, identity: "as before" });
      return kept;
    }
  }
  const authority = await home.issuer();
  const isOwn = kept && kept.authority.x === authority?.publicJwk.x;
  if (authority && (!kept || (isOwn && !isFresh(kept)))) {
    return await enrol(context, await inviteSelf(context, authority, role, name), signal);
  }
  if (kept) return await atOwnRelay(context, kept);
  throw nobody(context, role, name);
}

/**
 * The identity that this home keeps of a device, or of its operator.
 *
 * @throws {TunnelError} `refused` when there is none
 */
export async function ownIdentity(
  context: Context,
  role: Role,
  name: string | undefined,
): Promise<Identity> {
  const file = await context.home.identity(role, name);
  if (file) return await atOwnRelay(context, file.value);
  throw nobody(context, role, name);
}

/** The home's own relay is where it is now, whatever port it had before. */
async function atOwnRelay({ home }: Context, kept: Identity): Promise<Identity> {
  const endpoint = await home.relayEndpoint();
  const authority = endpoint?.authority ?? (await home.authority())?.publicJwk;
  if (!endpoint || kept.authority.x !== authority?.x) return kept;
  return { ...kept, relay: endpoint.local, root: endpoint.root };
}

function nobody({ home }: Context, role: Role, name: string | undefined): TunnelError {
  const who = role === "device" ? `device ${name}` : "operator";
  return new TunnelError("refused", {
    action: `find the identity of this ${who}`,
    state: `${home.path} has none`,
    remedy: `get a join string from \`tunnel invite ${role} ${
      name ?? "NAME"
    }\` and give it: --join`,
  });
}

/** Joins by a join string and keeps what comes of it. */
async function enrol(context: Context, join: Join, signal: AbortSignal): Promise<Identity> {
  const { root, secret, role, name, authority } = join;
  const relay = parseRelayUrl(join.relay);
  const keys = await generateMemberKeys();
  const { key, agreement } = publicKeysOf(keys);
  const privateKey = await importPrivateKey(keys.privateKey);
  const link = await openLink({
    relay,
    claim: { secret, publicKey: key, agreement, privateKey },
    connector: await makeConnector(context, { root }),
    agent: AGENT,
  }, signal);
  link.session.close();
  if (!link.credential) {
    throw new TunnelError("protocol", { action: "join", state: "the relay sent no credential" });
  }
  // The join string names whom to trust: a relay cannot hand out another fleet's credential.
  await checkIssued(link.credential, new Verifier(authority), { role, name, key, agreement });
  const identity: Identity = {
    role,
    name,
    relay: join.relay,
    root,
    authority,
    credential: link.credential,
    joinedBy: await hashSecret(secret),
    ...keys,
  };
  await context.home.saveIdentity(identity);
  context.log.info("joined", { [role]: name, relay: relay.host });
  await link.session.closed.catch(() => {}); // The credential is here; how that session ended is not news.
  return identity;
}

/** An invitation for oneself, by the authority in the same home. */
async function inviteSelf(
  { home, env }: Context,
  authority: Authority,
  role: Role,
  name: string | undefined,
): Promise<Join> {
  const endpoint = await home.relayEndpoint();
  if (!endpoint) {
    throw new TunnelError("unreachable", {
      action: "find the relay of this home",
      state: `none has run yet with ${home.path}`,
      remedy: "start one: tunnel relay",
    });
  }
  const own = name ?? userName(env);
  const secret = newSecret();
  await using store = await home.openStore();
  const author = localAuthor(env);
  await store.apply({
    type: "invite",
    role,
    name: own,
    secretHash: await hashSecret(secret),
    expiresAt: author.at + SELF_INVITE,
    uses: 1,
    // Whoever has the relay's home may do everything already.
    ...(role === "operator" && {
      rights: { admin: true, approver: true },
      grants: [{ scope: EVERYTHING }],
    }),
  }, author);
  const { local, root } = endpoint;
  return { relay: local, role, name: own, secret, authority: authority.publicJwk, root };
}

function checkFits(join: Join, role: Role, name: string | undefined): void {
  if (join.role === role && (name === undefined || join.name === name)) return;
  throw new TunnelError("usage", {
    action: "use the join string",
    state: `it is for ${join.role} ${join.name}, not for ${role} ${name ?? ""}`.trim(),
    remedy: `ask for one of \`tunnel invite ${role} ${name ?? "NAME"}\``,
  });
}

/** Whether a credential has not expired, as far as its holder can tell. */
function isFresh({ credential }: Identity): boolean {
  try {
    return unverified(credential).expiresAt > Date.now();
  } catch {
    return true; // The relay is the judge of what it issued.
  }
}
