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

/** Characters that a join string may have. */
export const MAX_JOIN = 8 * 1024;

const PREFIX = "tj1.";

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
  const text = PREFIX + base64url.encode(JSON.stringify(wire));
  if (text.length > MAX_JOIN) throw tooLong(text);
  return text;
}

/**
 * Reads a join string; spaces and line ends around it, as pasting leaves them, are ignored.
 *
 * @throws {TunnelError} `usage`; neither the message nor its causes show any of the text
 */
export function decodeJoin(text: string): Join {
  const trimmed = text.trim();
  if (trimmed.length > MAX_JOIN) throw tooLong(trimmed);
  if (!trimmed.startsWith(PREFIX)) {
    throw /^tj[0-9]{1,4}\./.test(trimmed)
      ? malformed("it is of a version this program does not know", "use the relay's version")
      : malformed(`it does not start with ${PREFIX}`);
  }
  const result = v.safeParse(Wire, parseBody(trimmed.slice(PREFIX.length)));
  if (!result.success) {
    // Only the member is named: the issue itself holds what was found there, maybe the secret.
    throw malformed(`its member ${v.getDotPath(result.issues[0]) ?? "list"} is not of its form`);
  }
  const { u, r, n, s, a, c } = result.output;
  const authority: PublicJwk = { kty: "OKP", crv: "Ed25519", x: a };
  const join: Join = { relay: relayText(u), role: r, name: nameOf(r, n), secret: s, authority };
  if (c !== undefined) join.root = derToPem(decodeDer(c));
  return join;
}

/** One certificate as PEM (RFC 7468), lines of 64 characters. */
export function derToPem(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/**
 * The first certificate of a PEM text.
 *
 * @throws {TunnelError} `usage` when there is none
 */
export function pemToDer(pem: string): Uint8Array<ArrayBuffer> {
  const body = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/.exec(pem);
  const der = fromBase64(body?.[1]?.replace(/\s+/g, "") ?? "");
  if (!der || !isDerSequence(der)) {
    throw new TunnelError("usage", { action: "read a certificate", state: "there is none in PEM" });
  }
  return der;
}

function parseBody(body: string): unknown {
  try {
    const bytes = base64url.decode(body);
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The cause is dropped on purpose: a JSON error quotes its input, and the secret is in there.
    throw malformed("it is cut off or garbled");
  }
}

function decodeDer(text: string): Uint8Array {
  const der = fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
  if (!der || !isDerSequence(der)) throw malformed("its certificate is not one");
  return der;
}

/** Whether the bytes are one DER SEQUENCE and nothing behind it, as every certificate is. */
function isDerSequence(der: Uint8Array): boolean {
  const size = der[1] ?? 0;
  const more = size > 0x80 ? size - 0x80 : 0;
  if (der[0] !== 0x30 || size === 0x80 || more > 3) return false;
  let length = more === 0 ? size : 0;
  for (let i = 0; i < more; i++) length = length * 256 + (der[2 + i] ?? 0);
  return length > 0 && der.length === 2 + more + length;
}

function relayText(text: string): string {
  try {
    return parseRelayUrl(text).href;
  } catch {
    // The URL is part of a text that also holds the secret, so its own error, quoting it, is dropped.
    throw malformed("its relay is not tunnel://host:port");
  }
}

function nameOf(role: Role, name: string): string {
  try {
    return role === "device" ? parseDeviceId(name) : parseOperatorName(name);
  } catch {
    // As for the URL above.
    throw malformed(`its name is not a ${role}'s`);
  }
}

function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    // Not base64: the caller says what that means.
    return null;
  }
}

function tooLong(text: string): TunnelError {
  return malformed(`it has ${text.length} characters, ${MAX_JOIN} is the most`);
}

function malformed(
  state: string,
  remedy = "copy all of it, or ask for a new one: tunnel invite",
): TunnelError {
  return new TunnelError("usage", { action: "read the join string", state, remedy });
}
