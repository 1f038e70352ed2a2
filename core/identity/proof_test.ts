import { base64url, SignJWT } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { Authority, CREDENTIAL_TYPE } from "./credential.ts";
import {
  exportPublicKey,
  generateAgreementKey,
  generateKeyPair,
  parseAgreementJwk,
} from "./keys.ts";
import {
  audienceOf,
  makeProof,
  MAX_PROOF,
  newNonce,
  PROOF_TYPE,
  type ProofExpectation,
  verifyProof,
} from "./proof.ts";

const test = suite("proof");
const random = new Random(newSeed());

const { privateKey, publicKey } = await generateKeyPair();
const key = await exportPublicKey(publicKey);
const nonce = newNonce();
const audience = "relay.example.com:443";
const subject = "the.credential.itself";
const expected: ProofExpectation = { key, nonce, subject, audience: (host) => host === audience };
const proof = await makeProof({ privateKey, nonce, audience, subject, now: 1_767_225_600_999 });

async function refusal(text: string, changed: Partial<ProofExpectation> = {}): Promise<string> {
  const error = await failure(() => verifyProof(text, { ...expected, ...changed }));
  assert.is(error.code, "refused", error.message);
  return error.message;
}

/** Any claims under any header, by the holder's own key. */
async function sign(claims: Record<string, unknown>, header: Record<string, unknown> = {}) {
  const ath = base64url.encode(
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(subject))),
  );
  return await new SignJWT({ nonce, aud: audience, iat: 1, ath, ...claims })
    .setProtectedHeader({ alg: "EdDSA", typ: PROOF_TYPE, ...header }).sign(privateKey);
}

test("a proof for this nonce, relay and credential is accepted and says when it was made", async () => {
  assert.equal(await verifyProof(proof, expected), { issuedAt: 1_767_225_600_000 });
  await verifyProof(await sign({}), expected);
});

test("a client whose clock is years off can prove its key", async () => {
  for (const now of [0, Date.UTC(1990, 0), Date.UTC(2099, 0)]) {
    const made = await makeProof({ privateKey, nonce, audience, subject, now });
    assert.equal(await verifyProof(made, expected), { issuedAt: now });
  }
});

test("a proof is refused for another nonce, so that it works once", async () => {
  assert.match(await refusal(proof, { nonce: newNonce() }), "another session's nonce");
});

test("a relay in the middle cannot pass a proof on to the relay behind it", async () => {
  // The middle relay is dialled on purpose and hands on the nonce of the one behind it.
  const meant = await makeProof({ privateKey, nonce, subject, audience: "middle.example:443" });
  const message = await refusal(meant);
  assert.match(message, "middle.example:443");
  assert.match(message, "does not answer to that");
});

test("a proof is refused with another credential, or another join secret", async () => {
  assert.match(await refusal(proof, { subject: "another.credential.here" }), "another credential");
  assert.match(await refusal(proof, { subject: "" }), "another credential");
});

test("a proof with another key is refused", async () => {
  const other = await exportPublicKey((await generateKeyPair()).publicKey);
  assert.match(await refusal(proof, { key: other }), "another key");
});

test("a credential is no proof, and a proof of another type neither", async () => {
  const authority = await Authority.generate();
  const agreement = parseAgreementJwk(await generateAgreementKey());
  const issued = await authority.issue({ role: "device", name: "x", holder: key, agreement });
  await refusal(issued.token, { key: authority.publicJwk });
  for (const typ of [CREDENTIAL_TYPE, "JWT", undefined]) await refusal(await sign({}, { typ }));
});

for (
  const claims of [
    { nonce: undefined },
    { nonce: 1 },
    { nonce: [nonce] },
    { nonce: "short" },
    { aud: undefined },
    { aud: [audience] },
    { aud: "x".repeat(301) },
    { iat: undefined },
    { iat: "now" },
    { iat: 1.5 },
    { ath: undefined },
    { ath: "" },
  ]
) {
  test(`a proof with ${Deno.inspect(claims).slice(0, 40)} is refused`, async () => {
    await refusal(await sign(claims));
  });
}

test("no change of one character is taken for the same proof with other claims", async () => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  const signed = proof.lastIndexOf(".");
  for (let at = 0; at < signed; at++) {
    let char: string;
    do char = alphabet[random.below(alphabet.length)]!; while (char === proof[at]);
    await refusal(`${proof.slice(0, at)}${char}${proof.slice(at + 1)}`);
  }
});

test("the cut-off, the garbled, the oversized and alg none are refused", async () => {
  for (let length = 0; length < proof.length; length += 11) await refusal(proof.slice(0, length));
  for (let i = 0; i < 100; i++) {
    await refusal(String.fromCharCode(...random.bytes(random.below(200))));
  }
  assert.match(await refusal("a".repeat(MAX_PROOF + 1)), `${MAX_PROOF} is the most`);
  const none = base64url.encode(JSON.stringify({ alg: "none", typ: PROOF_TYPE }));
  await refusal(`${none}.${proof.split(".")[1]}.`);
  const hs256 = await new SignJWT({ nonce, aud: audience, iat: 1, ath: nonce })
    .setProtectedHeader({ alg: "HS256", typ: PROOF_TYPE }).sign(base64url.decode(key.x));
  await refusal(hs256);
});

for (const bad of ["", "x", `${nonce}A`, nonce.slice(1), "eyJhbGciOiJFZERTQSJ9.e30", `${nonce} `]) {
  test(`nothing is signed for the nonce ${JSON.stringify(bad.slice(0, 12))}`, async () => {
    const error = await failure(() => makeProof({ privateKey, nonce: bad, audience, subject }));
    assert.is(error.code, "protocol");
  });
}

test("nonces are 32 bytes and new every time", () => {
  const nonces = new Set(Array.from({ length: 100 }, newNonce));
  assert.is(nonces.size, 100);
  for (const each of nonces) assert.is(base64url.decode(each).length, 32);
});

test("the audience is host:port in one spelling", () => {
  for (
    const [url, audience] of [
      ["tunnel://Relay.Example.com", "relay.example.com:443"],
      ["tunnel://relay.example.com:443/", "relay.example.com:443"],
      ["tunnel://[::0001]:4433", "[::1]:4433"],
      ["tunnel://127.0.0.1:80", "127.0.0.1:80"],
    ] as const
  ) {
    assert.is(audienceOf(new URL(url)), audience);
  }
});

test.run();
