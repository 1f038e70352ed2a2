/**
 * Proof of possession: shows a relay that whoever presents a credential, or spends a join string,
 * holds the private key it names, here and now. A compact JWS (RFC 7515) over JWT claims:
 *
 *     {"alg":"EdDSA","typ":"tunnel-proof+jwt"}
 *     {"nonce": the relay's, "aud": "relay.example.com:443", "iat", "ath": SHA-256 of the subject}
 *
 * - `nonce` makes it fresh: 32 random bytes of the relay's, one per session, taken back after one
 *   answer. The caller keeps it and lets go of it; this file only compares.
 * - `aud` is the address the client dialled. Without it a relay that a client dialled on purpose
 *   could sit in the middle: it would fetch another relay's nonce, have the client sign it, and be
 *   let in there as that client. With it the proof is worthless at any relay that does not answer to
 *   the address the client meant.
 * - `ath` binds it to the one credential (or join secret and channel key) shown with it (after RFC 9449, section 4.2),
 *   so that the two cannot be taken from different conversations and put together.
 * - `iat` is told, never judged: a device without a battery-backed clock may be years off, and the
 *   nonce already says when. A relay may use it to tell a device that its clock is wrong.
 */

import { base64url, SignJWT } from "jose";
import * as v from "valibot";
import { TunnelError } from "../errors.ts";
import { canonicalHost, DEFAULT_RELAY_PORT } from "../names.ts";
import { type AgreementJwk, BASE64URL_32, type PublicJwk } from "./keys.ts";
import { readStatement } from "./statement.ts";

/** The JWS's `typ`: a signature made here is never one over a credential, nor the reverse. */
export const PROOF_TYPE = "tunnel-proof+jwt";
/** Characters that a proof may have. */
export const MAX_PROOF = 2 * 1024;

/** What a client signs. */
export interface ProofOptions {
  privateKey: CryptoKey;
  /** The relay's nonce, as it came. */
  nonce: string;
  /** The address dialled: {@linkcode audienceOf} its URL. */
  audience: string;
  /** The credential, or the join secret, shown with the proof. */
  subject: string;
  /** Milliseconds since the epoch; default the clock. */
  now?: number;
}

/** What a relay expects. */
export interface ProofExpectation {
  /** The holder's key: the credential's, or the one to be enrolled. */
  key: PublicJwk;
  /** The nonce this session was given. The caller never accepts a second proof for it. */
  nonce: string;
  /** Whether this relay answers to `host:port`. */
  audience: (host: string) => boolean;
  subject: string;
}

/** A fresh nonce: base64url of 32 random bytes. */
export function newNonce(): string {
  return base64url.encode(crypto.getRandomValues(new Uint8Array(32)));
}

/** `host:port` of a relay's URL, the port always named, the host as {@linkcode canonicalHost} has it. */
export function audienceOf(url: URL): string {
  const host = canonicalHost(url.hostname) ?? url.hostname.toLowerCase();
  return `${host.includes(":") ? `[${host}]` : host}:${url.port || DEFAULT_RELAY_PORT}`;
}

/** @throws {TunnelError} `protocol` when the relay's nonce is not one */
export async function makeProof(options: ProofOptions): Promise<string> {
  const { privateKey, nonce, audience, subject, now = Date.now() } = options;
  // A relay chooses these bytes and the client signs them: nothing but a nonce may pass.
  if (!BASE64URL_32.test(nonce)) {
    throw new TunnelError("protocol", {
      action: "prove possession of the key",
      state: "the relay's nonce is not 32 bytes in base64url",
    });
  }
  return await new SignJWT({ nonce, ath: await digest(subject) })
    .setProtectedHeader({ alg: "EdDSA", typ: PROOF_TYPE })
    .setAudience(audience)
    .setIssuedAt(Math.floor(now / 1_000))
    .sign(privateKey);
}

const Claims = v.object({
  nonce: v.pipe(v.string(), v.regex(BASE64URL_32)),
  aud: v.pipe(v.string(), v.maxLength(300)),
  iat: v.pipe(v.number(), v.safeInteger()),
  ath: v.pipe(v.string(), v.regex(BASE64URL_32)),
});

/**
 * @returns when the client says it made the proof, in milliseconds since the epoch
 * @throws {TunnelError} `refused`: malformed, another key, another nonce, another relay, another
 * credential
 */
export async function verifyProof(
  proof: string,
  expected: ProofExpectation,
): Promise<{ issuedAt: number }> {
  const { nonce, aud, iat, ath } = await readStatement(proof, expected.key, {
    name: "a proof",
    typ: PROOF_TYPE,
    most: MAX_PROOF,
    claims: Claims,
    refused,
  });
  if (nonce !== expected.nonce) throw refused("it answers another session's nonce");
  if (!expected.audience(aud)) {
    throw refused(
      `it is meant for ${aud}, and this relay does not answer to that`,
      undefined,
      "dial the relay by a name of its certificate",
    );
  }
  if (ath !== await digest(expected.subject)) {
    throw refused("it belongs to another credential or join string");
  }
  return { issuedAt: iat * 1_000 };
}

/** What the proof of one who joins is bound to: the secret, and the key that is not signed with. */
export function joinSubject(secret: string, agreement: AgreementJwk): string {
  return `${secret}.${agreement.x}`;
}

/**
 * What the proofs of a renewal are bound to: the credential to be renewed, and the keys that the new
 * one is to be for. No credential and no join secret looks like it.
 */
export function renewalSubject(
  credential: string,
  key: PublicJwk,
  agreement: AgreementJwk,
): string {
  return `${credential}.${key.x}.${agreement.x}`;
}

/** The SHA-256 of a text, base64url. */
export async function digest(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  return base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

function refused(state: string, cause?: unknown, remedy?: string): TunnelError {
  return new TunnelError("refused", {
    action: "check the proof of possession",
    state,
    remedy,
    cause,
  });
}
