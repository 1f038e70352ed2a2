/**
 * Requests for a credential, to be carried to an authority that no network reaches. The keys are
 * made where they stay; the request shows their public halves, signed by the first of them:
 *
 *     "tr1." JWS {"alg":"EdDSA","typ":"tunnel-request+jwt"}
 *                {"sub": "device:pi-7" | "operator:night", "iat", "cnf": {"jwk"}, "kex"}
 *
 * A request is no secret. Who signs one vouches that its keys are those of that name: the fingerprint
 * is for comparing them by another way than the request came.
 */

import { base64url, errors, SignJWT } from "jose";
import * as v from "valibot";
import { TunnelError } from "../errors.ts";
import { parseDeviceId, parseOperatorName } from "../names.ts";
import { CLOCK_TOLERANCE, type Role, splitSubject } from "./credential.ts";
import { AgreementJwk, importPublicKey, PublicJwk } from "./keys.ts";
import { signedPayload } from "./statement.ts";

/** The JWS's `typ`: a signature made here is never one over a proof or a credential. */
export const REQUEST_TYPE = "tunnel-request+jwt";
/** Characters that a request may have. */
export const MAX_REQUEST = 4 * 1024;
/** Milliseconds that a request is good for: 30 days. */
export const REQUEST_VALIDITY = 30 * 86_400_000;

const PREFIX = "tr1.";

/** Who asks for a credential, and for which keys. */
export interface CredentialRequest {
  readonly role: Role;
  readonly name: string;
  readonly key: PublicJwk;
  readonly agreement: AgreementJwk;
  /** Milliseconds since the epoch, by the clock of who asks. */
  readonly issuedAt: number;
}

/** What a request is made from. */
export interface RequestOptions extends Omit<CredentialRequest, "issuedAt"> {
  /** The private half of `key`. */
  readonly privateKey: CryptoKey;
  /** Milliseconds since the epoch; default the clock. */
  readonly now?: number;
}

/** @throws {TunnelError} `usage` when the name is not one */
export async function makeRequest(options: RequestOptions): Promise<string> {
  const { role, key, agreement, privateKey, now = Date.now() } = options;
  const name = role === "device" ? parseDeviceId(options.name) : parseOperatorName(options.name);
  return PREFIX + await new SignJWT({ cnf: { jwk: key }, kex: agreement })
    .setProtectedHeader({ alg: "EdDSA", typ: REQUEST_TYPE })
    .setSubject(`${role}:${name}`)
    .setIssuedAt(Math.floor(now / 1_000))
    .sign(privateKey);
}

const Claims = v.object({
  sub: v.string(),
  iat: v.pipe(v.number(), v.safeInteger()),
  cnf: v.object({ jwk: PublicJwk }),
  kex: AgreementJwk,
});

/**
 * Reads a request and checks that who made it holds the key it names. White space around it is
 * ignored.
 *
 * @param now milliseconds since the epoch
 * @throws {TunnelError} `usage` when it is none; `refused` when it was altered, is older than
 * {@linkcode REQUEST_VALIDITY}, or was made later than now
 */
export async function readRequest(text: string, now = Date.now()): Promise<CredentialRequest> {
  const trimmed = text.trim();
  if (trimmed.length > MAX_REQUEST) {
    throw malformed(`it has ${trimmed.length} characters, ${MAX_REQUEST} is the most`);
  }
  if (!trimmed.startsWith(PREFIX)) throw malformed(`it does not start with ${PREFIX}`);
  const token = trimmed.slice(PREFIX.length);
  const claims = v.safeParse(Claims, await payloadOf(token));
  const [role, name] = claims.success ? splitSubject(claims.output.sub) ?? [] : [];
  if (!claims.success || !role || !name) throw malformed("its claims are not those of a request");
  const { cnf, kex, iat } = claims.output;
  checkAge(iat * 1_000, now);
  return { role, name, key: cnf.jwk, agreement: kex, issuedAt: iat * 1_000 };
}

/** Both public keys of a member as people compare them: `SHA256:` and 43 characters of base64. */
export async function keysFingerprint(key: PublicJwk, agreement: AgreementJwk): Promise<string> {
  const bytes = new TextEncoder().encode(`${key.x}.${agreement.x}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `SHA256:${btoa(String.fromCharCode(...digest)).replace(/=+$/, "")}`;
}

/** The claims of a request that was signed with the key it names. */
async function payloadOf(token: string): Promise<unknown> {
  const shown = v.safeParse(Claims, decode(token.split(".")[1] ?? ""));
  if (!shown.success) throw malformed("it is cut off or garbled");
  const key = await importPublicKey(shown.output.cnf.jwk);
  try {
    return await signedPayload(token, key, REQUEST_TYPE);
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError)) throw cause;
    throw refused("it was altered, or not made with the key that it names", AGAIN, cause);
  }
}

function decode(part: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(base64url.decode(part)));
  } catch {
    // What is no JSON is not of the form of claims, which is what the caller says.
    return undefined;
  }
}

function checkAge(made: number, now: number): void {
  const [at, here] = [made, now].map((time) => new Date(time));
  if (Number.isNaN(at!.getTime())) throw malformed("its claims are not those of a request");
  const when = `it was made at ${at!.toISOString()}, and here it is ${here!.toISOString()}`;
  if (made > now + CLOCK_TOLERANCE) throw refused(when, "set the clocks of both machines");
  if (made <= now - REQUEST_VALIDITY - CLOCK_TOLERANCE) throw refused(when, AGAIN);
}

const AGAIN = "make another: tunnel request";

function malformed(state: string): TunnelError {
  const remedy = "copy all of it, or make another: tunnel request";
  return new TunnelError("usage", { action: "read the request", state, remedy });
}

function refused(state: string, remedy: string, cause?: unknown): TunnelError {
  return new TunnelError("refused", { action: "check the request", state, remedy, cause });
}
