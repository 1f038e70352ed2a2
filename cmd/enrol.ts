/** How a command comes by its identity: a kept one, a join string, or the relay of the same home. */

import { TunnelError } from "../core/errors.ts";
import { decodeJoin, hashSecret, type Join, newSecret } from "../core/identity/join.ts";
import {
  exportPrivateKey,
  exportPublicKey,
  generateAgreementKey,
  generateKeyPair,
  importPrivateKey,
  parseAgreementJwk,
} from "../core/identity/keys.ts";
import { type Authority, type Role, Verifier } from "../core/identity/credential.ts";
import type { ChannelIdentity } from "../core/channel/handshake.ts";
import { openLink } from "../core/endpoint.ts";
import type { Claim } from "../core/link.ts";
import { parseRelayUrl } from "../core/names.ts";
import { StaticKey } from "../core/noise/static_key.ts";
import { EVERYTHING } from "../core/policy/grant.ts";
import type { Identity } from "../stores/home.ts";
import { localAuthor, userName } from "./author.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";

/** Milliseconds that an invitation to oneself is good for. */
const SELF_INVITE = 60_000;

/** Who this is on channels. */
export async function channelIdentityOf(identity: Identity): Promise<ChannelIdentity> {
  const { credential, agreementKey } = identity;
  return { credential, key: await StaticKey.import(agreementKey) };
}

/** A kept identity as the engine takes it. */
export async function claimOf(identity: Identity): Promise<Claim> {
  const { credential, privateKey } = identity;
  return { credential, privateKey: await importPrivateKey(privateKey) };
}

/**
 * The identity of a device (by its ID) or of this home's operator.
 *
 * A join string whose fleet this home has joined already is not used again, so that it may stay on
 * the command line of a service.
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
  const text = await readJoin(options.text("join"));
  if (text !== undefined) {
    const join = decodeJoin(text);
    checkFits(join, role, name);
    if (kept && kept.authority.x === join.authority.x && kept.name === join.name && isFresh(kept)) {
      return kept;
    }
    return await enrol(context, join, signal);
  }
  const authority = await home.authority();
  const isOwn = kept && kept.authority.x === authority?.publicJwk.x;
  if (authority && (!kept || (isOwn && !isFresh(kept)))) {
    return await enrol(context, await inviteSelf(context, authority, role, name), signal);
  }
  // The home's own relay is where it is now, whatever port it had before.
  const endpoint = isOwn ? await home.relayEndpoint() : undefined;
  if (endpoint) return { ...kept!, relay: endpoint.local, root: endpoint.root };
  if (kept) return kept;
  const who = role === "device" ? `device ${name}` : "operator";
  throw new TunnelError("refused", {
    action: `find the identity of this ${who}`,
    state: `${home.path} has none`,
    remedy: `get a join string from \`tunnel invite ${role} ${
      name ?? "NAME"
    }\` and give it: --join`,
  });
}

/** Joins by a join string and keeps what comes of it. */
async function enrol(context: Context, join: Join, signal: AbortSignal): Promise<Identity> {
  const { publicKey, privateKey } = await generateKeyPair();
  const { root, secret, role, name, authority } = join;
  const relay = parseRelayUrl(join.relay);
  const holder = await exportPublicKey(publicKey);
  const agreementKey = await generateAgreementKey();
  const agreement = parseAgreementJwk(agreementKey);
  const link = await openLink({
    relay,
    claim: { secret, publicKey: holder, agreement, privateKey },
    connector: await makeConnector(context, { root }),
    agent: AGENT,
  }, signal);
  link.session.close();
  if (!link.credential) {
    throw new TunnelError("protocol", { action: "join", state: "the relay sent no credential" });
  }
  await checkIssued(link.credential, join, holder.x, agreement.x);
  const identity: Identity = {
    role,
    name,
    relay: join.relay,
    root,
    authority,
    credential: link.credential,
    privateKey: await exportPrivateKey(privateKey),
    agreementKey,
  };
  await context.home.saveIdentity(identity);
  context.log.info("joined", { [role]: name, relay: relay.host });
  await link.session.closed.catch(() => {}); // The credential is here; how that session ended is not news.
  return identity;
}

/** The join string names whom to trust: a relay cannot hand out another fleet's credential. */
async function checkIssued(
  credential: string,
  join: Join,
  holder: string,
  channel: string,
): Promise<void> {
  const { role, name, key, agreement } = await new Verifier(join.authority).verify(credential);
  const isOurs = key.x === holder && agreement.x === channel;
  if (role === join.role && name === join.name && isOurs) return;
  throw new TunnelError("protocol", {
    action: "join",
    state: "the relay sent somebody else's credential",
    remedy: "ask whoever runs the relay",
  });
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

/** The join string itself, or from where it is: `@FILE`, or `-` for stdin. */
async function readJoin(text: string | undefined): Promise<string | undefined> {
  if (text === undefined) return undefined;
  const file = text.startsWith("@") ? text.slice(1) : undefined;
  if (file === undefined && text !== "-") return text;
  try {
    return file === undefined
      ? await new Response(Deno.stdin.readable).text()
      : await Deno.readTextFile(file);
  } catch (cause) {
    throw new TunnelError("usage", {
      action: "read the join string",
      state: `${file ?? "stdin"} cannot be read`,
      remedy: "name a file that this user may read: --join @FILE",
      cause,
    });
  }
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
    const claims = JSON.parse(
      atob(credential.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")),
    );
    return claims.exp * 1_000 > Date.now();
  } catch {
    return true; // The relay is the judge of what it issued.
  }
}
