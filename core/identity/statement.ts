/**
 * What a key has said: compact JWSs (RFC 7515) over JWT claims, of which every kind has a `typ` of its
 * own, so that a signature made for one is none for another. None of them is judged by a clock.
 */

import { jwtVerify } from "jose";
import * as v from "valibot";
import type { TunnelError } from "../errors.ts";
import { importPublicKey, type PublicJwk } from "./keys.ts";

/** One kind of statement. */
export interface StatementForm<S extends v.GenericSchema> {
  /** What errors call it: `a proof`. */
  readonly name: string;
  readonly typ: string;
  /** Characters at most. */
  readonly most: number;
  readonly claims: S;
  readonly refused: (state: string, cause?: unknown) => TunnelError;
}

/**
 * The claims of a statement.
 *
 * @throws {TunnelError} what the form says when it is too long, malformed, or made with another key
 */
export async function readStatement<S extends v.GenericSchema>(
  statement: string,
  key: PublicJwk,
  { name, typ, most, claims, refused }: StatementForm<S>,
): Promise<v.InferOutput<S>> {
  if (statement.length > most) {
    throw refused(`it has ${statement.length} characters, ${most} is the most`);
  }
  const imported = await importPublicKey(key);
  let payload: unknown;
  try {
    payload = await signedPayload(statement, imported, typ);
  } catch (cause) {
    throw refused("it is malformed, or made with another key", cause);
  }
  const result = v.safeParse(claims, payload);
  if (result.success) return result.output;
  throw refused(`its claims are not those of ${name}`);
}

/** What was signed. Rejects with jose's errors. */
export async function signedPayload(
  token: string,
  key: CryptoKey,
  typ: string,
): Promise<unknown> {
  // The clock is set to the epoch's start, because `nbf` and `exp` are no part of a statement.
  const options = { algorithms: ["EdDSA"], typ, currentDate: new Date(0) };
  return (await jwtVerify(token, key, options)).payload;
}
