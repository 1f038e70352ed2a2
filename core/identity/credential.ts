/**
 * Credentials: what a fleet's authority says about the holder of a key. A JWT (RFC 7519) signed
 * with EdDSA (RFC 8037), bound to the holder's key by `cnf` (RFC 7800, section 3.2):
 *
 *     {"alg":"EdDSA","typ":"tunnel-credential+jwt"}
 *     {"iss": thumbprint of the authority's key, "sub": "device:pi-7" | "operator:night",
 *      "iat", "nbf", "exp", "jti", "cnf": {"jwk": {"kty","crv","x"}},
 *      "kex": {"kty":"OKP","crv":"X25519","x"}}
 *
 * `kex` certifies the holder's key for the handshake of channels, so that a relay between two
 * members cannot put its own in place of one.
 *
 * A credential is no secret and proves nothing alone; `proof.ts` shows that its holder is there.
 */

import { base64url, decodeJwt, errors, jwtVerify, SignJWT } from "jose";
import * as v from "valibot";
import { TunnelError } from "../errors.ts";
import { DEVICE_ID, parseDeviceId, parseOperatorName } from "../names.ts";
import {
  AgreementJwk,
  exportPrivateKey,
  exportPublicKey,
  generateKeyPair,
  importPrivateKey,
  importPublicKey,
  parseAgreementJwk,
  parsePublicJwk,
  type PrivateJwk,
  PublicJwk,
  thumbprint,
} from "./keys.ts";

/** The JWT's `typ`, so that nothing else the authority may sign passes as a credential (RFC 8725). */
export const CREDENTIAL_TYPE = "tunnel-credential+jwt";
/** Characters that a credential may have. */
export const MAX_CREDENTIAL = 4 * 1024;
/** Milliseconds a device's credential is valid unless asked otherwise: 30 days. */
export const DEVICE_VALIDITY = 30 * 86_400_000;
/** Milliseconds an operator's credential is valid unless asked otherwise: 12 hours. */
export const OPERATOR_VALIDITY = 12 * 3_600_000;
/** Milliseconds by which the issuer's clock and the verifier's may differ: 5 minutes. */
export const CLOCK_TOLERANCE = 5 * 60_000;
/** Verified credentials that a {@linkcode Verifier} remembers. */
const MAX_KNOWN = 1_024;

export type Role = "device" | "operator";

/** Who a verified credential says its holder is. */
export interface Principal {
  readonly role: Role;
  readonly name: string;
  /** The holder's key; only a proof made with it is theirs. */
  readonly key: PublicJwk;
  /** The key that the holder's handshakes are made with. */
  readonly agreement: AgreementJwk;
  /** The credential's own name (`jti`). */
  readonly credentialId: string;
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** How a credential is judged. */
export interface VerifyOptions {
  /** Milliseconds since the epoch; default the clock. */
  readonly now?: number;
  /**
   * Milliseconds for which it still passes once it has expired, 0 to {@linkcode CLOCK_TOLERANCE};
   * default all of that, for members, whose clocks may be off. A relay allows none, because it also
   * cuts the session of who is signed in at that instant. How early it may be is no choice.
   */
  readonly expiryTolerance?: number;
}

/** What to put in a new credential. */
export interface IssueOptions {
  role: Role;
  name: string;
  /** The holder's public key. */
  holder: PublicJwk;
  /** The holder's public key for channels. */
  agreement: AgreementJwk;
  /** Milliseconds, at least 1,000; default {@linkcode DEVICE_VALIDITY} or {@linkcode OPERATOR_VALIDITY}. */
  ttl?: number;
  /** Milliseconds since the epoch; default the clock. */
  now?: number;
}

/** A new credential, and what its verifier will read from it. */
export interface Issued {
  readonly token: string;
  readonly principal: Principal;
}

/** The fleet's authority: the one private key that can issue credentials. */
export class Authority {
  readonly #key: CryptoKey;
  readonly publicJwk: PublicJwk;
  /** The `iss` of everything it issues (RFC 7638). */
  readonly thumbprint: string;

  private constructor(key: CryptoKey, publicJwk: PublicJwk, print: string) {
    this.#key = key;
    this.publicJwk = publicJwk;
    this.thumbprint = print;
  }

  static async generate(): Promise<Authority> {
    const { privateKey, publicKey } = await generateKeyPair();
    const publicJwk = await exportPublicKey(publicKey);
    return new Authority(privateKey, publicJwk, await thumbprint(publicJwk));
  }

  /** @throws {TunnelError} `usage` when it is not an Ed25519 private key */
  static async import(jwk: unknown): Promise<Authority> {
    const key = await importPrivateKey(jwk, { extractable: true });
    const publicJwk = parsePublicJwk(jwk);
    return new Authority(key, publicJwk, await thumbprint(publicJwk));
  }

  /** The private key, to be kept where only the relay can read it. */
  export(): Promise<PrivateJwk> {
    return exportPrivateKey(this.#key);
  }

  /** @throws {TunnelError} `usage` when the name, the key or the time is not one */
  async issue(options: IssueOptions): Promise<Issued> {
    const { role, now = Date.now() } = options;
    const name = role === "device" ? parseDeviceId(options.name) : parseOperatorName(options.name);
    const key = parsePublicJwk(options.holder);
    const agreement = parseAgreementJwk(options.agreement);
    const { ttl = role === "device" ? DEVICE_VALIDITY : OPERATOR_VALIDITY } = options;
    if (!Number.isSafeInteger(ttl) || ttl < 1_000) {
      throw new TunnelError("usage", {
        action: "issue a credential",
        state: `it cannot be valid for ${ttl} ms, 1,000 is the least`,
      });
    }
    const iat = Math.floor(now / 1_000);
    const exp = iat + Math.floor(ttl / 1_000);
    const credentialId = crypto.randomUUID();
    const token = await new SignJWT({ cnf: { jwk: key }, kex: agreement })
      .setProtectedHeader({ alg: "EdDSA", typ: CREDENTIAL_TYPE })
      .setIssuer(this.thumbprint)
      .setSubject(`${role}:${name}`)
      .setJti(credentialId)
      .setIssuedAt(iat)
      .setNotBefore(iat)
      .setExpirationTime(exp)
      .sign(this.#key);
    return {
      token,
      principal: {
        ...{ role, name, key, agreement, credentialId },
        issuedAt: iat * 1_000,
        expiresAt: exp * 1_000,
      },
    };
  }
}

const Claims = v.object({
  iss: v.string(),
  sub: v.string(),
  iat: v.number(),
  nbf: v.number(),
  // The last second that a date can be (ECMA-262, "Time Values").
  exp: v.pipe(v.number(), v.maxValue(8.64e12)),
  jti: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  cnf: v.object({ jwk: PublicJwk }),
  kex: AgreementJwk,
});

/**
 * Verifies credentials with the authority's public key alone. The key is the one given here: `kid`,
 * `jwk`, `jku` and `x5c` of a token's header are never looked at (RFC 8725, section 3.10).
 */
export class Verifier {
  readonly #authority: PublicJwk;
  /** Signed and well formed; whether their time has come is asked each time. Used last comes last. */
  readonly #known = new Map<string, Known>();
  #key?: Promise<[key: CryptoKey, issuer: string]>;

  /** @throws {TunnelError} `usage` when it is not an Ed25519 public key */
  constructor(publicJwk: PublicJwk) {
    this.#authority = parsePublicJwk(publicJwk);
  }

  /** @throws {TunnelError} `refused`: expired, not yet valid, of another fleet, altered, malformed */
  async verify(token: string, options: VerifyOptions = {}): Promise<Principal> {
    const { now = Date.now(), expiryTolerance = CLOCK_TOLERANCE } = options;
    const known = this.#known.get(token);
    if (known && isTimely(known, now, expiryTolerance)) return this.#remember(token, known);
    checkForm(token);
    this.#key ??= Promise.all([importPublicKey(this.#authority), thumbprint(this.#authority)]);
    const [key, issuer] = await this.#key;
    let payload: unknown;
    try {
      const verified = await jwtVerify(token, key, {
        algorithms: ["EdDSA"],
        typ: CREDENTIAL_TYPE,
        requiredClaims: ["iss", "sub", "iat", "nbf", "exp", "jti", "cnf", "kex"],
        clockTolerance: CLOCK_TOLERANCE / 1_000,
        currentDate: new Date(now),
      });
      payload = verified.payload;
    } catch (cause) {
      throw refusal(cause, token, issuer, now);
    }
    const claims = v.safeParse(Claims, payload);
    const [role, name] = claims.success ? splitSubject(claims.output.sub) ?? [] : [];
    if (!claims.success || !role || !name) {
      throw refused("its claims are not those of a credential");
    }
    const { iss, iat, nbf, exp, jti, cnf, kex } = claims.output;
    if (iss !== issuer) throw otherFleet();
    if (now >= exp * 1_000 + expiryTolerance) throw expired(exp, now);
    const principal = {
      role,
      name,
      key: cnf.jwk,
      agreement: kex,
      credentialId: jti,
      issuedAt: iat * 1_000,
      expiresAt: exp * 1_000,
    };
    return this.#remember(token, { principal, notBefore: nbf * 1_000 });
  }

  #remember(token: string, known: Known): Principal {
    this.#known.delete(token);
    this.#known.set(token, known);
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!);
    return known.principal;
  }
}

/** A credential whose signature was verified. */
interface Known {
  readonly principal: Principal;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
}

function isTimely({ principal, notBefore }: Known, now: number, expiryTolerance: number): boolean {
  return now >= notBefore - CLOCK_TOLERANCE && now < principal.expiresAt + expiryTolerance;
}

/**
 * Whose a credential says it is, and from when to when. Nothing of it is verified: it is for its
 * holder, who is to know when another is due.
 *
 * @throws {TunnelError} `refused` when it does not say
 */
export function unverified(
  token: string,
): Pick<Principal, "role" | "name" | "issuedAt" | "expiresAt"> {
  let payload: unknown;
  try {
    payload = decodeJwt(token);
  } catch (cause) {
    throw refused("it is malformed", cause);
  }
  const claims = v.safeParse(Claims, payload);
  const [role, name] = claims.success ? splitSubject(claims.output.sub) ?? [] : [];
  if (!claims.success || !role || !name) {
    throw refused("its claims are not those of a credential");
  }
  const { iat, exp } = claims.output;
  return { role, name, issuedAt: iat * 1_000, expiresAt: exp * 1_000 };
}

/** Role and name of a subject, `device:pi-7`; undefined when it is none. */
export function splitSubject(subject: string): [role: Role, name: string] | undefined {
  const [, role, name] = /^(device|operator):(.*)$/s.exec(subject) ?? [];
  return name !== undefined && DEVICE_ID.test(name) ? [role as Role, name] : undefined;
}

/** Size and alphabet, before any work is spent on it. */
function checkForm(token: string): void {
  if (token.length > MAX_CREDENTIAL) {
    throw refused(`it has ${token.length} characters, ${MAX_CREDENTIAL} is the most`);
  }
  const parts = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)$/.exec(token)?.slice(1);
  // A second spelling of the same bytes would make one credential look like two.
  if (!parts?.every((part) => part.length % 4 !== 1 && isCanonical(part))) {
    throw refused("it is malformed");
  }
}

function isCanonical(part: string): boolean {
  return base64url.encode(base64url.decode(part)) === part;
}

function refusal(cause: unknown, token: string, issuer: string, now: number): TunnelError {
  if (cause instanceof errors.JWTExpired) return expired(cause.payload.exp, now, cause);
  if (cause instanceof errors.JWTClaimValidationFailed && cause.claim === "nbf") {
    if (cause.reason === "check_failed") {
      const state = `it is not valid before ${instant(cause.payload.nbf)}, and here it is ${
        instant(now / 1_000)
      }`;
      return refused(state, cause, "set the clocks of both machines");
    }
  }
  if (cause instanceof errors.JWSSignatureVerificationFailed) {
    return claimedIssuer(token) === issuer
      ? refused("it was altered, or not signed by this fleet's authority", cause)
      : otherFleet(cause);
  }
  if (cause instanceof errors.JOSEAlgNotAllowed) {
    return refused("it is not signed with EdDSA", cause);
  }
  if (cause instanceof errors.JWTClaimValidationFailed && cause.claim === "typ") {
    return refused(`it is not of the type ${CREDENTIAL_TYPE}`, cause);
  }
  return refused("it is malformed", cause);
}

/** What an unverified token says of its issuer: good for the words of a refusal, nothing else. */
function claimedIssuer(token: string): unknown {
  try {
    return decodeJwt(token).iss;
  } catch {
    // It is refused already; unreadable claims only mean that they name no issuer.
    return undefined;
  }
}

function expired(exp: unknown, now: number, cause?: unknown): TunnelError {
  return refused(
    `it expired at ${instant(exp)}, and here it is ${instant(now / 1_000)}`,
    cause,
    "ask for a new join string and join again, or set the clocks if one is wrong",
  );
}

function otherFleet(cause?: unknown): TunnelError {
  return refused("it was issued by the authority of another fleet", cause);
}

function refused(
  state: string,
  cause?: unknown,
  remedy = "ask for a new join string and join again",
): TunnelError {
  return new TunnelError("refused", { action: "check the credential", state, remedy, cause });
}

function instant(seconds: unknown): string {
  const date = new Date(Number(seconds) * 1_000);
  return Number.isNaN(date.getTime()) ? "an unknown time" : date.toISOString();
}
