/**
 * Join strings: what a new device or operator needs to enrol, in one word to paste.
 *
 *     "tj1." base64url(JSON {"u": relay URL, "r": role, "n": name, "s": secret,
 *                            "a": authority's public key, "c"?: the relay's root, DER})
 *
 * The secret can be spent once and soon; the relay keeps only its hash. `a` and `c` are what the
 * newcomer trusts from then on, so a join string is to be handed over like a password.
 */

import { base64url } from "jose";
import * as v from "valibot";
import { TunnelError } from "../errors.ts";
import { parseDeviceId, parseOperatorName, parseRelayUrl } from "../names.ts";
import type { Role } from "./credential.ts";
import { BASE64URL_32, parsePublicJwk, type PublicJwk } from "./keys.ts";
import { pemToDer } from "./pem.ts";
import { decodeWord, encodeWord, nameIn, relayIn, rootIn, type WordKind } from "./word.ts";

/** Characters that a join string may have. */
export const MAX_JOIN = 8 * 1024;

/** What a join string carries. */
export interface Join {
  /** `tunnel://host:port`. */
  relay: string;
  role: Role;
  name: string;
  /** As {@linkcode newSecret} makes it. Never print it, never put it into an error. */
  secret: string;
  /** The fleet's authority: what the newcomer's credential must verify with. */
  authority: PublicJwk;
  /** The root of the relay's certificate (PEM), when it is not publicly trusted. */
  root?: string;
}

const Wire = v.object({
  u: v.string(),
  r: v.picklist(["device", "operator"]),
  n: v.string(),
  s: v.pipe(v.string(), v.regex(BASE64URL_32)),
  a: v.pipe(v.string(), v.regex(BASE64URL_32)),
  c: v.optional(v.string()),
});

const KIND: WordKind<typeof Wire> = {
  what: "join string",
  prefix: "tj1.",
  schema: Wire,
  most: MAX_JOIN,
  remedy: "copy all of it, or ask for a new one: tunnel invite",
};

/** A new join secret: base64url of 32 random bytes. */
export function newSecret(): string {
  return base64url.encode(crypto.getRandomValues(new Uint8Array(32)));
}

/** base64url of the secret's SHA-256. No salt and no stretching: it has 256 random bits. */
export async function hashSecret(secret: string): Promise<string> {
  const bytes = new TextEncoder().encode(secret);
  return base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** @throws {TunnelError} `usage` when a part is not of its form, or the whole is too long */
export function encodeJoin(join: Join): string {
  const { role, secret, authority, root } = join;
  if (!BASE64URL_32.test(secret)) {
    const state = "the secret is not 32 bytes in base64url";
    throw new TunnelError("usage", { action: "make a join string", state });
  }
  const wire: v.InferInput<typeof Wire> = {
    u: parseRelayUrl(join.relay).href,
    r: role,
    n: role === "device" ? parseDeviceId(join.name) : parseOperatorName(join.name),
    s: secret,
    a: parsePublicJwk(authority).x,
  };
  if (root !== undefined) wire.c = base64url.encode(pemToDer(root));
  return encodeWord(KIND, wire);
}

/**
 * Reads a join string; spaces and line ends around it, as pasting leaves them, are ignored.
 *
 * @throws {TunnelError} `usage`; neither the message nor its causes show any of the text
 */
export function decodeJoin(text: string): Join {
  const { u, r, n, s, a, c } = decodeWord(KIND, text);
  const authority: PublicJwk = { kty: "OKP", crv: "Ed25519", x: a };
  const relay = relayIn(KIND, u);
  const join: Join = { relay, role: r, name: nameIn(KIND, r, n), secret: s, authority };
  if (c !== undefined) join.root = rootIn(KIND, c);
  return join;
}
