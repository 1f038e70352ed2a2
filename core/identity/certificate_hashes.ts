/**
 * Certificate hashes: which certificates a relay shows now, said by the key of the root that join
 * strings carry. Browsers trust such a root in no way, but take a certificate whose hash they are told
 * if it is valid for at most 14 days; a join string outlives that. A compact JWS (RFC 7515):
 *
 *     {"alg":"ES256","typ":"tunnel-certificates+jwt"}
 *     {"hashes": [base64url of the SHA-256 of a certificate's DER, ...], "iat"}
 *
 * It says no more than the root's signature on each of these certificates does, and is good for as
 * long as they are: there is no expiry of its own, and repeating an old one gains nothing.
 */

import { base64url, importX509, jwtVerify, SignJWT } from "jose";
import * as v from "valibot";
import { TunnelError } from "../errors.ts";
import { BASE64URL_32 } from "./keys.ts";
import { pemToDer } from "./pem.ts";

/** Where a relay tells them, over HTTPS on its TCP port. */
export const HASHES_PATH = "/.well-known/tunnel";
/** The JWS's `typ`. */
export const HASHES_TYPE = "tunnel-certificates+jwt";
/** Characters that a statement may have. */
export const MAX_HASHES = 1_024;

const Claims = v.object({
  hashes: v.pipe(
    v.array(v.pipe(v.string(), v.regex(BASE64URL_32))),
    v.minLength(1),
    v.maxLength(4),
  ),
});

/** The SHA-256 of the first certificate of a chain, as browsers take it. */
export async function certificateHash(pem: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", pemToDer(pem)));
}

/**
 * @param chains PEM, 1 to 4; the first certificate of each counts
 * @param rootKey the root's, for ECDSA with P-256
 * @param now milliseconds since the epoch
 */
export async function signHashes(
  chains: readonly string[],
  rootKey: CryptoKey,
  now: number,
): Promise<string> {
  const hashes = await Promise.all(
    chains.map(async (pem) => base64url.encode(await certificateHash(pem))),
  );
  return await new SignJWT({ hashes })
    .setProtectedHeader({ alg: "ES256", typ: HASHES_TYPE })
    .setIssuedAt(Math.floor(now / 1_000))
    .sign(rootKey);
}

/**
 * @param roots PEM, any of which may have signed it
 * @throws {TunnelError} `protocol` when it is malformed, or none of them has
 */
export async function readHashes(
  statement: string,
  roots: readonly string[],
): Promise<Uint8Array<ArrayBuffer>[]> {
  if (statement.length > MAX_HASHES) throw malformed("it is too long");
  let cause: unknown;
  for (const root of roots) {
    try {
      const key = await importX509(root, "ES256");
      const options = { algorithms: ["ES256"], typ: HASHES_TYPE, currentDate: new Date(0) };
      const { payload } = await jwtVerify(statement, key, options);
      const { hashes } = v.parse(Claims, payload);
      return hashes.map((hash) => base64url.decode(hash) as Uint8Array<ArrayBuffer>);
    } catch (problem) {
      cause = problem; // Another root may be the one.
    }
  }
  throw malformed("no root that is trusted here has signed it", cause);
}

function malformed(state: string, cause?: unknown): TunnelError {
  return new TunnelError("protocol", { action: "read the relay's certificates", state, cause });
}
