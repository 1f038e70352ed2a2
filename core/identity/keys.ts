/**
 * Key pairs and their JSON form (RFC 8037), by WebCrypto: Ed25519 to prove who one is, X25519 for
 * the handshake of a channel.
 */

import { base64url, calculateJwkThumbprint } from "jose";
import * as v from "valibot";
import { describe, TunnelError } from "../errors.ts";

/** 32 bytes in base64url without padding; the last character has its two spare bits clear. */
export const BASE64URL_32 = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

const Bytes32 = v.pipe(v.string(), v.regex(BASE64URL_32));

/** A public key as a JSON Web Key. Other members are dropped. */
export const PublicJwk = v.object({
  kty: v.literal("OKP"),
  crv: v.literal("Ed25519"),
  x: Bytes32,
});
export type PublicJwk = v.InferOutput<typeof PublicJwk>;

/** A private key as a JSON Web Key. It never leaves the machine it was made on. */
export const PrivateJwk = v.object({ ...PublicJwk.entries, d: Bytes32 });
export type PrivateJwk = v.InferOutput<typeof PrivateJwk>;

/** The public half of a key for the handshake of channels. */
export const AgreementJwk = v.object({
  kty: v.literal("OKP"),
  crv: v.literal("X25519"),
  x: Bytes32,
});
export type AgreementJwk = v.InferOutput<typeof AgreementJwk>;

/** Both halves; as private as {@linkcode PrivateJwk}. */
export const PrivateAgreementJwk = v.object({ ...AgreementJwk.entries, d: Bytes32 });
export type PrivateAgreementJwk = v.InferOutput<typeof PrivateAgreementJwk>;

/** How keys are made and read. */
export interface KeyOptions {
  /** Whether {@linkcode exportPrivateKey} may read the private key back. */
  extractable?: boolean;
}

/**
 * A new key pair. It is extractable unless told otherwise, because it is to be kept in a file that
 * only its owner can read; where it is kept as a CryptoKey (a browser), ask for `extractable: false`.
 */
export async function generateKeyPair(options: KeyOptions = {}): Promise<CryptoKeyPair> {
  const { extractable = true } = options;
  return await crypto.subtle.generateKey("Ed25519", extractable, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
}

/** A new key for the handshake of channels, to be kept like {@linkcode generateKeyPair}'s. */
export async function generateAgreementKey(): Promise<PrivateAgreementJwk> {
  const { privateKey } = await generateAgreementPair();
  return v.parse(PrivateAgreementJwk, await crypto.subtle.exportKey("jwk", privateKey));
}

/** The same as a pair of CryptoKeys. */
export async function generateAgreementPair(options: KeyOptions = {}): Promise<CryptoKeyPair> {
  const { extractable = true } = options;
  return await crypto.subtle.generateKey("X25519", extractable, ["deriveBits"]) as CryptoKeyPair;
}

/** The public half of a key. */
export async function exportPublicKey(key: CryptoKey): Promise<PublicJwk> {
  return v.parse(PublicJwk, await crypto.subtle.exportKey("jwk", key));
}

/** The public half of a key for the handshake of channels. */
export async function exportAgreementKey(key: CryptoKey): Promise<AgreementJwk> {
  return v.parse(AgreementJwk, await crypto.subtle.exportKey("jwk", key));
}

/** @throws {TunnelError} `usage` when the key was made not to be exported */
export async function exportPrivateKey(key: CryptoKey): Promise<PrivateJwk> {
  if (!key.extractable || key.type !== "private") {
    throw keyError("export a private key", "this one is not an extractable private key");
  }
  return v.parse(PrivateJwk, await crypto.subtle.exportKey("jwk", key));
}

/** @throws {TunnelError} `usage` when it is not an Ed25519 public key */
export async function importPublicKey(jwk: unknown): Promise<CryptoKey> {
  const key = parsePublicJwk(jwk);
  try {
    return await crypto.subtle.importKey("jwk", key, "Ed25519", true, ["verify"]);
  } catch (cause) {
    throw keyError("read a public key", describe(cause), cause);
  }
}

/**
 * Reads a private key back; the result is not extractable unless told so.
 *
 * @throws {TunnelError} `usage` when it is not an Ed25519 private key, or its halves do not belong
 * together; the message never shows the key
 */
export async function importPrivateKey(jwk: unknown, options: KeyOptions = {}): Promise<CryptoKey> {
  const action = "read a private key";
  const result = v.safeParse(PrivateJwk, jwk);
  if (!result.success) throw keyError(action, "it is not an Ed25519 private key");
  const { extractable = false } = options;
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey("jwk", result.output, "Ed25519", extractable, ["sign"]);
  } catch {
    // The platform's own error is dropped, because it may quote its input: a private key.
    throw keyError(action, "it is not an Ed25519 private key");
  }
  const probe = new Uint8Array(32);
  const signature = await crypto.subtle.sign("Ed25519", key, probe);
  const publicKey = await importPublicKey(result.output);
  if (!await crypto.subtle.verify("Ed25519", publicKey, signature, probe)) {
    throw keyError(action, "its public and private halves do not belong together");
  }
  return key;
}

/** @throws {TunnelError} `usage` when it is not an Ed25519 public key */
export function parsePublicJwk(jwk: unknown): PublicJwk {
  const result = v.safeParse(PublicJwk, jwk);
  if (!result.success) throw keyError("read a public key", "it is not an Ed25519 public key");
  return result.output;
}

/** @throws {TunnelError} `usage` when it is not an X25519 public key */
export function parseAgreementJwk(jwk: unknown): AgreementJwk {
  const result = v.safeParse(AgreementJwk, jwk);
  if (!result.success) throw keyError("read a public key", "it is not an X25519 public key");
  return result.output;
}

/** The key's SHA-256 fingerprint in base64url, over its required members (RFC 7638, section 3). */
export function thumbprint(jwk: PublicJwk): Promise<string> {
  const { kty, crv, x } = jwk;
  return calculateJwkThumbprint({ kty, crv, x }, "sha256");
}

/** A channel key as people compare it: `SHA256:` and 43 characters of base64, like OpenSSH's. */
export async function fingerprint({ x }: AgreementJwk): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", base64url.decode(x) as BufferSource);
  return `SHA256:${btoa(String.fromCharCode(...new Uint8Array(digest))).replace(/=+$/, "")}`;
}

function keyError(action: string, state: string, cause?: unknown): TunnelError {
  return new TunnelError("usage", { action, state, cause });
}
