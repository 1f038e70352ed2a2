/** The members of a fleet that is the same in every run, and tokens that it signs at will. */

import { base64url } from "jose";
import { Authority, Verifier } from "../../core/identity/credential.ts";
import type { PrivateJwk } from "../../core/identity/keys.ts";
import { StaticKey } from "../../core/noise/static_key.ts";
import { bytes } from "../text.ts";

/** RFC 8032, section 7.1, tests 1 and 2. */
export const HOLDER: PrivateJwk = {
  kty: "OKP",
  crv: "Ed25519",
  d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
};
export const AUTHORITY: PrivateJwk = {
  kty: "OKP",
  crv: "Ed25519",
  d: "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs",
  x: "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
};
/** Milliseconds since 1970: when everything here was issued. */
export const NOW = 1_767_225_600_000;

export const authority = await Authority.import(AUTHORITY);
export const verifier = new Verifier(authority.publicJwk);

/** Static keys for channels. */
export const operatorKey = await StaticKey.import(
  Uint8Array.from({ length: 32 }, (_, i) => 32 + i),
);
export const deviceKey = await StaticKey.import(Uint8Array.from({ length: 32 }, (_, i) => 64 + i));

/** A token whose parts say what the caller wants, signed by the holder of the key. */
export async function signed(key: PrivateJwk, header: string, payload: string): Promise<string> {
  const parts = [header, payload].map((part) => base64url.encode(part)).join(".");
  const privateKey = await crypto.subtle.importKey("jwk", key, "Ed25519", false, ["sign"]);
  const signature = await crypto.subtle.sign("Ed25519", privateKey, bytes(parts));
  return `${parts}.${base64url.encode(new Uint8Array(signature))}`;
}

/** The claims of a credential of the operator "night". */
export const CLAIMS = {
  iss: authority.thumbprint,
  sub: "operator:night",
  iat: NOW / 1_000,
  nbf: NOW / 1_000,
  exp: NOW / 1_000 + 86_400,
  jti: "579f52cb-93d1-4db8-afb4-92772a313577",
  cnf: { jwk: { kty: "OKP", crv: "Ed25519", x: HOLDER.x } },
  kex: { kty: "OKP", crv: "X25519", x: base64url.encode(operatorKey.publicKey) },
};
