import { base64url, SignJWT } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { generateMemberKeys, publicKeysOf } from "../membership.ts";
import { CLOCK_TOLERANCE } from "./credential.ts";
import { importPrivateKey } from "./keys.ts";
import {
  keysFingerprint,
  makeRequest,
  MAX_REQUEST,
  readRequest,
  REQUEST_TYPE,
  REQUEST_VALIDITY,
} from "./request.ts";

const test = suite("request");
const random = new Random(newSeed());

const NOW = Date.UTC(2026, 0, 1);
const keys = await generateMemberKeys();
const { key, agreement } = await publicKeysOf(keys);
const privateKey = await importPrivateKey(keys.privateKey);
const who = { role: "device", name: "pi-7", key, agreement } as const;
const request = await makeRequest({ ...who, privateKey, now: NOW });

/** Any claims under any header, by the member's own key. */
async function sign(claims: Record<string, unknown>, header: Record<string, unknown> = {}) {
  const all = { sub: "device:pi-7", iat: NOW / 1_000, cnf: { jwk: key }, kex: agreement };
  const token = new SignJWT({ ...all, ...claims });
  token.setProtectedHeader({ alg: "EdDSA", typ: REQUEST_TYPE, ...header });
  return `tr1.${await token.sign(privateKey)}`;
}

test("a request says who asks, and for which keys", async () => {
  assert.equal(await readRequest(`\n ${request}\n`, NOW), { ...who, issuedAt: NOW });
  assert.equal(await readRequest(await sign({}), NOW), { ...who, issuedAt: NOW });
  assert.not.match(request, keys.privateKey.d);
});

test("no change of one character passes", async () => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  for (let at = 0; at < request.length - 1; at += 3) {
    let char: string;
    do char = alphabet[random.below(alphabet.length)]!; while (char === request[at]);
    const altered = `${request.slice(0, at)}${char}${request.slice(at + 1)}`;
    const error = await failure(() => readRequest(altered, NOW));
    assert.ok(["usage", "refused"].includes(error.code), error.message);
  }
});

test("who puts other keys into another's request cannot sign it", async () => {
  const mallory = await generateMemberKeys();
  const [header, , signature] = request.slice(4).split(".");
  for (
    const claims of [
      { cnf: { jwk: (await publicKeysOf(mallory)).key } },
      { kex: (await publicKeysOf(mallory)).agreement },
      { sub: "device:other" },
    ]
  ) {
    const payload = { sub: "device:pi-7", iat: NOW / 1_000, cnf: { jwk: key }, kex: agreement };
    const altered = base64url.encode(JSON.stringify({ ...payload, ...claims }));
    const error = await failure(() => readRequest(`tr1.${header}.${altered}.${signature}`, NOW));
    assert.is(error.code, "refused");
    assert.match(error.message, /altered/);
  }
});

test("another key for channels has another fingerprint, and so has another signing key", async () => {
  const other = await publicKeysOf(await generateMemberKeys());
  const prints = await Promise.all([
    keysFingerprint(key, agreement),
    keysFingerprint(key, other.agreement),
    keysFingerprint(other.key, agreement),
  ]);
  assert.is(new Set(prints).size, 3);
  for (const print of prints) assert.match(print, /^SHA256:[A-Za-z0-9+/]{43}$/);
});

test("a signature over anything else by the same key is no request", async () => {
  for (const typ of ["tunnel-proof+jwt", "tunnel-credential+jwt", "JWT", undefined]) {
    const error = await failure(async () => readRequest(await sign({}, { typ }), NOW));
    assert.is(error.code, "refused");
  }
});

const wrong: [string, Record<string, unknown>][] = [
  ["no subject", { sub: undefined }],
  ["an unknown role", { sub: "relay:pi-7" }],
  ["a device ID with a slash", { sub: "device:a/b" }],
  ["no time", { iat: undefined }],
  ["a time that is none", { iat: 1e300 }],
  ["no keys", { cnf: undefined, kex: undefined }],
  ["a key of another kind for channels", { kex: key }],
];
for (const [what, claims] of wrong) {
  test(`${what} in a signed request is refused`, async () => {
    assert.is((await failure(async () => readRequest(await sign(claims), NOW))).code, "usage");
  });
}

test("the clocks may differ by the tolerance, and a request grows old", async () => {
  await readRequest(request, NOW - CLOCK_TOLERANCE);
  await readRequest(request, NOW + REQUEST_VALIDITY);
  const early = await failure(() => readRequest(request, NOW - CLOCK_TOLERANCE - 60_000));
  assert.is(early.code, "refused");
  assert.match(early.message, /set the clocks/);
  const late = await failure(() => readRequest(request, NOW + REQUEST_VALIDITY + CLOCK_TOLERANCE));
  assert.match(late.message, /make another: tunnel request/);
});

test("what is no request at all is said so, and not shown", async () => {
  for (const text of ["", "hello", "tj1.abc", "tr1.", "tr1.a.b.c", "tr1.e30.e30.AAAA"]) {
    const error = await failure(() => readRequest(text, NOW));
    assert.is(error.code, "usage");
  }
  for (let i = 0; i < 100; i++) {
    const text = `tr1.${base64url.encode(random.bytes(random.below(300)))}`;
    assert.is((await failure(() => readRequest(text, NOW))).code, "usage");
  }
  const long = await failure(() => readRequest(`tr1.${"a".repeat(MAX_REQUEST)}`, NOW));
  assert.match(long.message, /4096 is the most/);
});

test("nothing is requested for a name that is none", async () => {
  const error = await failure(() => makeRequest({ ...who, name: "a/b", privateKey }));
  assert.is(error.code, "usage");
});

test.run();
