/** What says who somebody is: join strings, credentials, proofs, keys. */

import { base64url } from "jose";
import { CREDENTIAL_TYPE } from "../../../core/identity/credential.ts";
import { decodeJoin, encodeJoin } from "../../../core/identity/join.ts";
import { derToPem, pemToDer } from "../../../core/identity/pem.ts";
import { importPrivateKey, parseAgreementJwk } from "../../../core/identity/keys.ts";
import { PROOF_TYPE, verifyProof } from "../../../core/identity/proof.ts";
import { DEVICE_ID } from "../../../core/names.ts";
import { StaticKey } from "../../../core/noise/static_key.ts";
import type { Random } from "../../random.ts";
import { attempt, must, same } from "../expect.ts";
import { AUTHORITY, authority, CLAIMS, HOLDER, NOW, signed, verifier } from "../fleet_keys.ts";
import { mutateJson, mutateText } from "../mutate_text.ts";
import { fromText, type Target, toText } from "../target.ts";

const SECRET = "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM";
const ROOT = derToPem(Uint8Array.of(0x30, 0x82, 0x01, 0x00, ...new Uint8Array(256).fill(5)));
const WIRE = {
  u: "tunnel://relay.example.com:4433",
  r: "device",
  n: "pi-7",
  s: SECRET,
  a: AUTHORITY.x,
  c: base64url.encode(pemToDer(ROOT)),
};
const JOINS = ["device", "operator"].map((role) =>
  encodeJoin({
    relay: WIRE.u,
    role: role as "device",
    name: "pi-7",
    secret: SECRET,
    authority: authority.publicJwk,
    root: role === "device" ? ROOT : undefined,
  })
);

/** Altered as text, or altered inside and encoded again. */
const join: Target = {
  name: "join",
  iterations: 1_500,
  make: (random) =>
    fromText(
      random.below(2) === 0
        ? mutateText(random.pick(JOINS), random, JOINS)
        : `tj1.${base64url.encode(mutateJson(WIRE, random))}`,
    ),
  async check(input) {
    const text = toText(input);
    // What was garbled may still be read off by eye, as base64 and as what is in it.
    const secrets = [SECRET, ...JOINS.map((text) => text.slice(60, 150))];
    const result = await attempt(() => decodeJoin(text), ["usage"], secrets);
    if ("error" in result) return;
    const encoded = encodeJoin(result.value);
    same(decodeJoin(encoded), result.value, "encoded and decoded again");
    same(encodeJoin(decodeJoin(encoded)), encoded, "its canonical form");
  },
};

const HEADER = { alg: "EdDSA", typ: CREDENTIAL_TYPE };
const credentials = [
  await signed(AUTHORITY, JSON.stringify(HEADER), JSON.stringify(CLAIMS)),
  await signed(HOLDER, JSON.stringify(HEADER), JSON.stringify(CLAIMS)),
];

const credential: Target = {
  name: "credential",
  iterations: 500,
  make: (random) =>
    fromText(
      random.below(8) === 0
        ? respelt(credentials[0]!, random)
        : mutateText(random.pick(credentials), random, credentials),
    ),
  async check(input) {
    const token = toText(input);
    const result = await attempt(() => verifier.verify(token, { now: NOW }), ["refused"]);
    must(
      ("value" in result) === (token === credentials[0]),
      "one spelling, and one alone, is good",
    );
  },
};

/** Other text for the same bytes: the last character of a part may have bits to spare. */
function respelt(token: string, random: Random): string {
  const parts = token.split(".");
  const at = random.below(3);
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = letters.indexOf(parts[at]!.at(-1)!);
  parts[at] = parts[at]!.slice(0, -1) + letters[(last + 1) % 64];
  return parts.join(".");
}

/** What the authority would have to sign for this: the header, a line feed, the claims. */
const claims: Target = {
  name: "credential:claims",
  iterations: 400,
  make: (random) =>
    fromText(
      [HEADER, CLAIMS].map((part) =>
        random.below(3) === 0 ? JSON.stringify(part) : mutateJson(part, random)
      ).join("\n"),
    ),
  async check(input) {
    const [header = "", payload = ""] = split(toText(input));
    const token = await signed(AUTHORITY, header, payload);
    const result = await attempt(() => verifier.verify(token, { now: NOW }), ["refused"]);
    if ("error" in result) return;
    const { role, name, expiresAt } = result.value;
    must(DEVICE_ID.test(name) && (role === "device" || role === "operator"), `${role}:${name}`);
    must(expiresAt > NOW - 300_001 && !Number.isNaN(new Date(expiresAt).getTime()), `${expiresAt}`);
  },
};

const NONCE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const PROOF_CLAIMS = {
  nonce: NONCE,
  aud: "relay.example.com:443",
  iat: NOW / 1_000,
  ath: base64url.encode(
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(SECRET))),
  ),
};

const proof: Target = {
  name: "proof",
  iterations: 400,
  make: (random) =>
    fromText(
      [{ alg: "EdDSA", typ: PROOF_TYPE }, PROOF_CLAIMS].map((part) =>
        random.below(3) === 0 ? JSON.stringify(part) : mutateJson(part, random)
      ).join("\n"),
    ),
  async check(input) {
    const [header = "", payload = ""] = split(toText(input));
    const token = await signed(HOLDER, header, payload);
    const expected = {
      key: { kty: "OKP", crv: "Ed25519", x: HOLDER.x } as const,
      nonce: NONCE,
      audience: (host: string) => host === PROOF_CLAIMS.aud,
      subject: SECRET,
    };
    const result = await attempt(() => verifyProof(token, expected), ["refused"], [SECRET]);
    if ("error" in result) return;
    const { nonce, aud, ath } = JSON.parse(payload.replace(/^\ufeff/, ""));
    const expectedClaims = [NONCE, PROOF_CLAIMS.aud, PROOF_CLAIMS.ath];
    same([nonce, aud, ath], expectedClaims, "the claims that count");
  },
};

const AGREEMENT = {
  kty: "OKP",
  crv: "X25519",
  x: "NYBy1jZYgNGu6jka35EhODhR7SGijjt16WXQ0s0WYlQ",
  d: "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM",
};

const keys: Target = {
  name: "keys",
  iterations: 400,
  make: (random) => fromText(mutateJson(random.pick([HOLDER, AGREEMENT]), random)),
  async check(input) {
    let jwk: unknown;
    try {
      jwk = JSON.parse(toText(input));
    } catch {
      // No JSON, and so nothing that a key is ever read from.
      return;
    }
    const secrets = [HOLDER.d, AGREEMENT.d];
    await attempt(() => importPrivateKey(jwk), ["usage"], secrets);
    await attempt(() => parseAgreementJwk(jwk), ["usage"], secrets);
    await attempt(() => StaticKey.import(jwk as typeof AGREEMENT as never), ["usage"], secrets);
  },
};

/** In two at the first line feed. */
function split(text: string): [string, string] {
  const at = text.indexOf("\n");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

export const identities: Target[] = [join, credential, claims, proof, keys];
