/**
 * Decisions about dials: what an operator says to a device that asks before it lets another in. A
 * compact JWS (RFC 7515) over JWT claims, by the key of the operator's credential:
 *
 *     {"alg":"EdDSA","typ":"tunnel-decision+jwt"}
 *     {"sub": digest of the dial, "accept": boolean, "iat", "ath": SHA-256 of the credential}
 *
 * - `sub` is the SHA-256 of all that the operator was shown and of the dial's own hello and epoch. A
 *   relay that shows one dial and has another one let in gets a decision that fits neither.
 * - Freshness is the hello's: a device takes a decision for a dial that waits now, and no hello is
 *   taken twice. `iat` is told, never judged, as in a proof: devices' clocks may be years off.
 * - `ath` binds it to the credential shown with it.
 *
 * The start of the digest is what people name the dial by, so that the name stands for what they saw.
 */

import { base64url, SignJWT } from "jose";
import * as v from "valibot";
import { TunnelError } from "../errors.ts";
import { BASE64URL_32, type PublicJwk } from "./keys.ts";
import { digest } from "./proof.ts";
import { readStatement } from "./statement.ts";

/** The JWS's `typ`: a signature made here is never one over a proof or a credential. */
export const DECISION_TYPE = "tunnel-decision+jwt";
/** Characters that a decision may have. */
export const MAX_DECISION = 1024;

/** What is decided about. */
export interface DecidedDial {
  readonly device: string;
  readonly epoch: string;
  /** {@linkcode helloDigest} of the first message of its handshake. */
  readonly hello: string;
  /** Who dials. */
  readonly operator: string;
  readonly host?: string;
  readonly port: number;
  readonly protocol: "tcp";
  readonly reason?: string;
}

/** The SHA-256 of a hello as it is sent, base64url. */
export function helloDigest(hello: string): Promise<string> {
  return digest(hello);
}

/** The SHA-256 of a dial, base64url. */
export function dialDigest(dial: DecidedDial): Promise<string> {
  const { device, epoch, hello, operator, protocol, port, reason, host } = dial;
  // No field but the last can hold a line feed, so that no two dials have one text.
  const fields = ["tunnel decision 1", device, epoch, hello, operator, protocol, port];
  return digest([...fields, reason ?? "", host ?? ""].join("\n"));
}

/** What people name a dial by: 16 hexadecimal digits, the start of its digest. */
export async function dialId(dial: DecidedDial): Promise<string> {
  const bytes = base64url.decode(await dialDigest(dial)).subarray(0, 8);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export interface DecisionOptions {
  privateKey: CryptoKey;
  /** The credential shown with it. */
  credential: string;
  dial: DecidedDial;
  accept: boolean;
  /** Milliseconds since the epoch; default the clock. */
  now?: number;
}

export async function makeDecision(options: DecisionOptions): Promise<string> {
  const { privateKey, credential, dial, accept, now = Date.now() } = options;
  return await new SignJWT({ accept, ath: await digest(credential) })
    .setProtectedHeader({ alg: "EdDSA", typ: DECISION_TYPE })
    .setSubject(await dialDigest(dial))
    .setIssuedAt(Math.floor(now / 1_000))
    .sign(privateKey);
}

const Claims = v.object({
  sub: v.pipe(v.string(), v.regex(BASE64URL_32)),
  accept: v.boolean(),
  iat: v.pipe(v.number(), v.safeInteger()),
  ath: v.pipe(v.string(), v.regex(BASE64URL_32)),
});

/** What a device expects. */
export interface DecisionExpectation {
  /** The key of the credential. */
  key: PublicJwk;
  credential: string;
  dial: DecidedDial;
}

/**
 * @returns whether the dial is accepted
 * @throws {TunnelError} `refused`: malformed, another key, another dial, another credential
 */
export async function verifyDecision(
  decision: string,
  expected: DecisionExpectation,
): Promise<boolean> {
  const { sub, accept, ath } = await readStatement(decision, expected.key, {
    name: "a decision",
    typ: DECISION_TYPE,
    most: MAX_DECISION,
    claims: Claims,
    refused,
  });
  if (sub !== await dialDigest(expected.dial)) throw refused("it is about another dial");
  if (ath !== await digest(expected.credential)) throw refused("it belongs to another credential");
  return accept;
}

function refused(state: string, cause?: unknown): TunnelError {
  return new TunnelError("refused", {
    action: "check the decision about a dial",
    state,
    remedy: "the relay is not to be trusted: tell whoever runs it",
    cause,
  });
}
