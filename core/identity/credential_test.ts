import { base64url, importJWK, SignJWT } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import {
  Authority,
  CLOCK_TOLERANCE,
  CREDENTIAL_TYPE,
  DEVICE_VALIDITY,
  MAX_CREDENTIAL,
  OPERATOR_VALIDITY,
  unverified,
  Verifier,
} from "./credential.ts";
import {
  exportPublicKey,
  generateAgreementKey,
  generateKeyPair,
  parseAgreementJwk,
  type PublicJwk,
} from "./keys.ts";

const test = suite("credential");
const random = new Random(newSeed());

const NOW = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;
const authority = await Authority.generate();
const verifier = new Verifier(authority.publicJwk);
const holder = await newHolder();
const agreement = parseAgreementJwk(await generateAgreementKey());
const { token, principal } = await authority.issue({
  ...{ role: "device", name: "pi-7", holder, agreement, ttl: HOUR, now: NOW },
});

async function newHolder(): Promise<PublicJwk> {
  return await exportPublicKey((await generateKeyPair()).publicKey);
}

/** Signs anything with the authority's key, as only a defect of the authority would. */
async function forge(
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key: unknown = undefined,
): Promise<string> {
  const seconds = NOW / 1_000;
  return await new SignJWT({
    ...{ iss: authority.thumbprint, sub: "device:pi-7", iat: seconds, nbf: seconds },
    ...{ exp: seconds + 3_600, jti: "1", cnf: { jwk: holder }, kex: agreement, ...claims },
  }).setProtectedHeader({ alg: "EdDSA", typ: CREDENTIAL_TYPE, ...header })
    .sign((key ?? await importJWK(await authority.export(), "EdDSA")) as CryptoKey);
}

/** A token of any parts, unsigned. */
function assemble(header: unknown, payload: unknown, signature = ""): string {
  const part = (value: unknown) => base64url.encode(JSON.stringify(value));
  return `${part(header)}.${part(payload)}.${signature}`;
}

async function refusal(text: string, now = NOW): Promise<string> {
  const error = await failure(() => verifier.verify(text, { now }));
  assert.is(error.code, "refused", error.message);
  return error.message;
}

for (const role of ["device", "operator"] as const) {
  test(`a ${role}'s credential says who holds which key until when`, async () => {
    const issued = await authority.issue({
      role,
      name: "night",
      holder,
      agreement,
      now: NOW + 999,
    });
    const validity = role === "device" ? DEVICE_VALIDITY : OPERATOR_VALIDITY;
    const found = await verifier.verify(issued.token, { now: NOW });
    assert.equal(found, issued.principal);
    assert.is(found.role, role);
    assert.is(found.name, "night");
    assert.equal(found.key, holder);
    assert.equal(found.agreement, agreement);
    assert.is(found.expiresAt, NOW + validity);
    assert.ok(issued.token.length < MAX_CREDENTIAL / 4);
  });
}

test("a forged credential that differs in nothing is accepted: the forger of these tests works", async () => {
  assert.is((await verifier.verify(await forge(), { now: NOW })).name, "pi-7");
});

test("two credentials for one name have two IDs", async () => {
  const options = { role: "device", name: "x", holder, agreement } as const;
  const [a, b] = [await authority.issue(options), await authority.issue(options)];
  assert.is.not(a.principal.credentialId, b.principal.credentialId);
});

test("an authority issues the same way after a round through its JSON form", async () => {
  const again = await Authority.import(JSON.parse(JSON.stringify(await authority.export())));
  assert.is(again.thumbprint, authority.thumbprint);
  const issued = await again.issue({ role: "operator", name: "a", holder, agreement, now: NOW });
  assert.is((await verifier.verify(issued.token, { now: NOW })).name, "a");
});

test("the public key has no private half", () => {
  assert.equal(Object.keys(authority.publicJwk).sort(), ["crv", "kty", "x"]);
});

for (
  const [what, options] of [
    ["a slash in the device ID", { role: "device", name: "a/b", holder }],
    ["an operator's name in capitals", { role: "operator", name: "Night", holder }],
    ["a holder that is no key", { role: "device", name: "a", holder: { kty: "oct" } }],
    ["a holder without a key for channels", { role: "device", name: "a", agreement: holder }],
    ["no time at all", { role: "device", name: "a", holder, ttl: 0 }],
    ["half a millisecond", { role: "device", name: "a", holder, ttl: 1_000.5 }],
    ["an endless time", { role: "device", name: "a", holder, ttl: Infinity }],
  ] as const
) {
  test(`nothing is issued for ${what}`, async () => {
    // deno-lint-ignore no-explicit-any -- what JavaScript callers may pass
    const given = { holder, agreement, ...options } as any;
    assert.is((await failure(() => authority.issue(given))).code, "usage");
  });
}

test("a signature is verified once, and no other token passes for a known one", async () => {
  const fresh = new Verifier(authority.publicJwk);
  await fresh.verify(token, { now: NOW });
  const { verify } = crypto.subtle;
  let verified = 0;
  crypto.subtle.verify = (...args: Parameters<typeof verify>) => {
    verified++;
    return verify.apply(crypto.subtle, args);
  };
  try {
    assert.is((await fresh.verify(token, { now: NOW })).name, "pi-7");
    assert.is(verified, 0);
    const altered = token.slice(0, -2) + (token.endsWith("AA") ? "BA" : "AA");
    assert.is((await failure(() => fresh.verify(altered, { now: NOW }))).code, "refused");
  } finally {
    crypto.subtle.verify = verify;
  }
});

const end = NOW + HOUR;
test("the clocks may differ by the tolerance, at both ends", async () => {
  await verifier.verify(token, { now: NOW - CLOCK_TOLERANCE });
  await verifier.verify(token, { now: end + CLOCK_TOLERANCE - 1_000 });
  assert.match(
    await refusal(token, NOW - CLOCK_TOLERANCE - 1_000),
    "not valid before 2026-01-01T00:00",
  );
  assert.match(await refusal(token, end + CLOCK_TOLERANCE), "expired at 2026-01-01T01:00:00.000Z");
});

test("without tolerance a credential ends at its instant, and may come early all the same", async () => {
  const expiryTolerance = 0;
  await verifier.verify(token, { now: end - 1, expiryTolerance });
  await verifier.verify(token, { now: NOW - CLOCK_TOLERANCE, expiryTolerance });
  for (const now of [end, end + 1, end + CLOCK_TOLERANCE, end + HOUR]) {
    const error = await failure(() => verifier.verify(token, { now, expiryTolerance }));
    assert.match(error.message, /expired at 2026-01-01T01:00.*here it is 2026.*set the clocks/);
  }
});

test("what a credential says of itself is read without the authority's key", async () => {
  const { role, name, issuedAt, expiresAt } = principal;
  assert.equal(unverified(token), { role, name, issuedAt, expiresAt });
  for (
    const text of ["", "a.b.c", assemble({}, { sub: "device:x" }), await forge({ iat: "now" })]
  ) {
    assert.is((await failure(() => unverified(text))).code, "refused");
  }
});

test("another fleet's credential is refused as such", async () => {
  const other = await Authority.generate();
  const issued = await other.issue({ role: "device", name: "pi-7", holder, agreement, now: NOW });
  assert.match(await refusal(issued.token), "another fleet");
});

test("another fleet's key under this fleet's name is refused as altered", async () => {
  const other = await importJWK(await (await Authority.generate()).export(), "EdDSA");
  assert.match(await refusal(await forge({}, {}, other)), "altered");
});

test("this fleet's key under another's name is refused", async () => {
  assert.match(await refusal(await forge({ iss: "someone" })), "another fleet");
});

test("no change of one character passes", async () => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  for (let at = 0; at < token.length; at++) {
    let char: string;
    do char = alphabet[random.below(alphabet.length)]!; while (char === token[at]);
    await refusal(`${token.slice(0, at)}${char}${token.slice(at + 1)}`);
  }
});

test("claims that were rewritten under the old signature are refused as altered", async () => {
  const [header, payload, signature] = token.split(".") as [string, string, string];
  const claims = JSON.parse(new TextDecoder().decode(base64url.decode(payload)));
  const admin = base64url.encode(JSON.stringify({ ...claims, sub: "operator:root" }));
  assert.match(await refusal(`${header}.${admin}.${signature}`), "altered");
});

test("the cut-off, the garbled and the oversized are refused before anything else", async () => {
  for (let length = 0; length < token.length; length += 7) await refusal(token.slice(0, length));
  for (let i = 0; i < 200; i++) {
    await refusal(String.fromCharCode(...random.bytes(random.below(300))));
  }
  for (
    const text of [
      "",
      ".",
      "..",
      "...",
      "a.b.c",
      `${token}.`,
      `.${token}`,
      ` ${token}`,
      `${token}\n`,
    ]
  ) {
    assert.match(await refusal(text), "malformed");
  }
  assert.match(await refusal("a".repeat(MAX_CREDENTIAL + 1)), "4096 is the most");
  assert.match(await refusal(await forge({ pad: "x".repeat(5_000) })), "4096 is the most");
});

test("a second spelling of the signature is refused", async () => {
  // 64 bytes leave four spare bits in the last character.
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(token.at(-1)!);
  assert.is(last % 16, 0);
  assert.match(await refusal(token.slice(0, -1) + alphabet[last + 1]), "malformed");
});

test("alg none, in any spelling and with any signature, is refused", async () => {
  const payload = JSON.parse(new TextDecoder().decode(base64url.decode(token.split(".")[1]!)));
  for (const alg of ["none", "None", "NONE", "nOnE", "", null, undefined, 0, ["EdDSA"]]) {
    for (const signature of ["", token.split(".")[2]]) {
      await refusal(assemble({ alg, typ: CREDENTIAL_TYPE }, payload, signature));
    }
  }
});

test("HS256 keyed with the public key is refused: the algorithm is the verifier's choice", async () => {
  const secrets = [
    base64url.decode(authority.publicJwk.x),
    new TextEncoder().encode(authority.publicJwk.x),
    new TextEncoder().encode(JSON.stringify(authority.publicJwk)),
  ];
  for (const secret of secrets) {
    assert.match(await refusal(await forge({}, { alg: "HS256" }, secret)), "EdDSA");
  }
});

test("an ES256 signature is refused", async () => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const pair = await crypto.subtle.generateKey(algorithm, true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  assert.match(await refusal(await forge({}, { alg: "ES256" }, pair.privateKey)), "EdDSA");
});

test("keys that a header names or brings are never used", async () => {
  const mallory = await generateKeyPair();
  const jwk = await exportPublicKey(mallory.publicKey);
  const headers = [
    { kid: authority.thumbprint },
    { kid: "../../../dev/null" },
    { kid: "' OR 1=1 --" },
    { jwk },
    { kid: "mallory", jwk },
    { jku: "https://mallory.example/keys" },
    { x5c: ["AAAA"] },
    { x5u: "https://mallory.example/cert" },
  ];
  for (const header of headers) {
    assert.match(await refusal(await forge({}, header, mallory.privateKey)), "altered");
  }
  const honest = await forge({}, { kid: "../../../dev/null", jwk });
  assert.is((await verifier.verify(honest, { now: NOW })).name, "pi-7");
});

test("an unknown critical header is refused", async () => {
  const [, payload, signature] = token.split(".") as [string, string, string];
  const header = { alg: "EdDSA", typ: CREDENTIAL_TYPE, crit: ["x"], x: 1 };
  await refusal(`${base64url.encode(JSON.stringify(header))}.${payload}.${signature}`);
});

for (const typ of ["JWT", "tunnel-proof+jwt", "", undefined]) {
  test(`the authority's signature over a ${typ} is no credential`, async () => {
    assert.match(await refusal(await forge({}, { typ })), CREDENTIAL_TYPE);
  });
}

const badClaims: [string, Record<string, unknown>][] = [
  ...["iss", "sub", "iat", "nbf", "exp", "jti", "cnf"].map((claim) =>
    [`no ${claim}`, { [claim]: undefined }] as [string, Record<string, unknown>]
  ),
  ["a subject without a role", { sub: "pi-7" }],
  ["a subject of an unknown role", { sub: "relay:pi-7" }],
  ["a role in capitals", { sub: "Device:pi-7" }],
  ["a device ID with a slash", { sub: "device:a/b" }],
  ["an empty device ID", { sub: "device:" }],
  ["a device ID with a colon", { sub: "device:a:b" }],
  ["a list of subjects", { sub: ["device:pi-7"] }],
  ["an empty ID", { jti: "" }],
  ["a numeric ID", { jti: 1 }],
  ["a long ID", { jti: "x".repeat(65) }],
  ["an expiry in words", { exp: "2099-01-01" }],
  ["a start in words", { nbf: "now" }],
  ["no key", { cnf: {} }],
  ["a key by name only", { cnf: { kid: "x" } }],
  ["a symmetric key", { cnf: { jwk: { kty: "oct", k: "AAAA" } } }],
  ["a short key", { cnf: { jwk: { ...holder, x: "AAAA" } } }],
];
for (const [what, claims] of badClaims) {
  test(`${what} in a signed credential is refused`, async () => {
    await refusal(await forge(claims));
  });
}

test("claims that are no object are refused", async () => {
  for (const payload of [null, 1, "text", [], true]) {
    await refusal(assemble({ alg: "EdDSA", typ: CREDENTIAL_TYPE }, payload, "AAAA"));
  }
});

test("a private member in the holder's key does not reach the principal", async () => {
  const found = await verifier.verify(await forge({ cnf: { jwk: { ...holder, d: holder.x } } }), {
    now: NOW,
  });
  assert.equal(Object.keys(found.key).sort(), ["crv", "kty", "x"]);
});

test("the principal of a verified credential is the one issued", async () => {
  assert.equal(await verifier.verify(token, { now: NOW }), principal);
});

test("a verifier takes nothing but an Ed25519 public key", async () => {
  // deno-lint-ignore no-explicit-any -- what JavaScript callers may pass
  const error = await failure(() => new Verifier({ kty: "oct", k: "AAAA" } as any));
  assert.is(error.code, "usage");
});

for (const exp of [Number.MAX_SAFE_INTEGER, 1e300]) {
  test(`an expiry of ${exp} is no date, and refused`, async () => {
    await refusal(await forge({ exp }));
  });
}

test.run();
