/** How a command comes by its identity: a kept one, a join string, or the relay of the same home. */

import { TunnelError } from "../core/errors.ts";
import { decodeJoin, hashSecret, type Join, newSecret } from "../core/identity/join.ts";
import type { Authority, Role } from "../core/identity/credential.ts";
import { isSigned } from "../core/identity/signed.ts";
import {
  checkFits,
  enrol,
  type EnrolOptions,
  identityByJoin,
  isFresh,
} from "../core/member/enrol.ts";
import type { Identity } from "../core/member/identity.ts";
import { EVERYTHING } from "../core/policy/grant.ts";
import { localAuthor, userName } from "./author.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { readText } from "./input.ts";
import { takeSigned } from "./signed.ts";

/** Milliseconds that an invitation to oneself is good for. */
const SELF_INVITE = 60_000;

/**
 * The identity of a device (by its ID) or of this home's operator; of join strings as
 * {@linkcode identityByJoin} has it.
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
  const file = await home.members.read(role, name);
  const kept = file?.value;
  if (file?.warning) log.warn(file.warning);
  const given = options.text("join");
  if (given !== undefined) {
    const text = await readText(given, "join string", "--join @FILE");
    if (isSigned(text)) return await takeSigned(context, text, role, name);
    const join = decodeJoin(text);
    checkFits(join, role, name);
    return await identityByJoin(join, kept, enrolling(context, signal));
  }
  const authority = await home.issuer();
  const isOwn = kept && kept.authority.x === authority?.publicJwk.x;
  if (authority && (!kept || (isOwn && !isFresh(kept)))) {
    const join = await inviteSelf(context, authority, role, name);
    return await enrol(join, enrolling(context, signal));
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
  const file = await context.home.members.read(role, name);
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

/** How this home joins. */
function enrolling(context: Context, signal: AbortSignal): EnrolOptions {
  const { home, log } = context;
  const connector = (trust: { root?: string }) => makeConnector(context, trust);
  return { store: home.members, connector, agent: AGENT, log, signal };
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
