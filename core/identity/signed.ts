/**
 * Signed strings: what an offline authority gives back for a request, in one word to paste.
 *
 *     "ts1." base64url(JSON {"t": credential, "a": authority's public key,
 *                            "u"?: relay URL, "c"?: the relay's root, DER})
 *
 * There is no secret in it, and it is of use only to who holds the keys it is for. But `a`, `u` and
 * `c` are what that one trusts from then on, so it is to come by a way on which nobody alters it.
 */

import { base64url } from "jose";
import * as v from "valibot";
import { parseRelayUrl } from "../names.ts";
import { MAX_CREDENTIAL } from "./credential.ts";
import { BASE64URL_32, parsePublicJwk, type PublicJwk } from "./keys.ts";
import { pemToDer } from "./pem.ts";
import { decodeWord, encodeWord, relayIn, rootIn, type WordKind } from "./word.ts";

/** Characters that a signed string may have. */
export const MAX_SIGNED = 16 * 1024;

/** What a signed string carries. */
export interface Signed {
  readonly credential: string;
  /** The fleet's authority: what the credential must verify with. */
  readonly authority: PublicJwk;
  /** `tunnel://host:port`; without it the member stays at the relay it knows. */
  readonly relay?: string;
  /** The root of the relay's certificate (PEM), when it is not publicly trusted. */
  readonly root?: string;
}

const Wire = v.object({
  t: v.pipe(v.string(), v.maxLength(MAX_CREDENTIAL)),
  a: v.pipe(v.string(), v.regex(BASE64URL_32)),
  u: v.optional(v.string()),
  c: v.optional(v.string()),
});

const KIND: WordKind<typeof Wire> = {
  what: "signed string",
  prefix: "ts1.",
  schema: Wire,
  most: MAX_SIGNED,
  remedy: "copy all of it, or have the request signed again: tunnel authority sign",
};

/** Whether a text means to be a signed string and not a join string. */
export function isSigned(text: string): boolean {
  return /^ts[0-9]{1,4}\./.test(text.trim());
}

/** @throws {TunnelError} `usage` when a part is not of its form, or the whole is too long */
export function encodeSigned({ credential, authority, relay, root }: Signed): string {
  const wire: v.InferInput<typeof Wire> = { t: credential, a: parsePublicJwk(authority).x };
  if (relay !== undefined) wire.u = parseRelayUrl(relay).href;
  if (root !== undefined) wire.c = base64url.encode(pemToDer(root));
  return encodeWord(KIND, wire);
}

/** @throws {TunnelError} `usage` when it is none */
export function decodeSigned(text: string): Signed {
  const { t, a, u, c } = decodeWord(KIND, text);
  return {
    credential: t,
    authority: { kty: "OKP", crv: "Ed25519", x: a },
    relay: u === undefined ? undefined : relayIn(KIND, u),
    root: c === undefined ? undefined : rootIn(KIND, c),
  };
}
