import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../../tests/random.ts";
import { TunnelError } from "../errors.ts";
import { generateAgreementKey, generateKeyPair } from "../identity/keys.ts";
import { loadNativeSuite } from "./native_suite.ts";
import { nobleSuite } from "./noble_suite.ts";
import { REMEMBERED, StaticKey } from "./static_key.ts";

const test = suite("noise static key");
const SUITES = [loadNativeSuite()!, nobleSuite];

/** Every point of order 8 and less, and what else is read as one (RFC 7748, section 5). */
const LOW_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].flatMap((text) => {
  const point = Uint8Array.fromHex(text);
  // The high bit is ignored.
  return [point, point.with(31, point[31]! | 0x80)];
});

test("a JWK, its bytes and a CryptoKey that is not extractable are one key", async () => {
  const jwk = await generateAgreementKey();
  const bytes = Uint8Array.fromBase64(jwk.d, { alphabet: "base64url" });
  const held = await crypto.subtle.importKey("jwk", jwk, "X25519", false, ["deriveBits"]);
  const other = await StaticKey.import(new Random(newSeed()).bytes(32));
  const keys = [await StaticKey.import(held)];
  for (const each of SUITES) {
    keys.push(await StaticKey.import(jwk, each), await StaticKey.import(bytes, each));
  }
  const expected = await other.agree(keys[0]!.publicKey);
  for (const key of keys) {
    assert.is(key.publicKey.toBase64({ alphabet: "base64url", omitPadding: true }), jwk.x);
    assert.equal(await key.agree(other.publicKey), expected);
    assert.equal(await key.agreeStatic(other.publicKey), expected);
  }
});

test("import copies the bytes, publicKey gives a copy", async () => {
  for (const each of SUITES) {
    const bytes = new Random(newSeed()).bytes(32);
    const key = await StaticKey.import(bytes, each);
    const publicKey = key.publicKey.slice();
    const other = await StaticKey.import(new Uint8Array(32).fill(7), each);
    const shared = await other.agree(publicKey);
    bytes.fill(0);
    key.publicKey.fill(0);
    assert.equal(key.publicKey, publicKey);
    assert.equal(await key.agree(other.publicKey), shared);
  }
});

test("public keys of low order are refused, by platforms that fail and by those that give zeros", async () => {
  const jwk = await generateAgreementKey();
  const held = await crypto.subtle.importKey("jwk", jwk, "X25519", false, ["deriveBits"]);
  const keys = [
    await StaticKey.import(held),
    ...await Promise.all(SUITES.map((each) => StaticKey.import(jwk, each))),
    await StaticKey.import(new Uint8Array(32), {
      ...nobleSuite,
      importKeyPair: (publicKey) => ({ publicKey: publicKey.slice(), agree: () => publicKey }),
    }),
  ];
  for (const key of keys) {
    for (const point of LOW_ORDER) {
      assert.is(await codeOf(key.agree(point)), "protocol", point.toHex());
      assert.is(await codeOf(key.agreeStatic(point)), "protocol", point.toHex());
    }
  }
});

test("what is no private X25519 key is refused, without showing it", async () => {
  const jwk = await generateAgreementKey();
  const { publicKey } = await crypto.subtle.generateKey("X25519", true, [
    "deriveBits",
  ]) as CryptoKeyPair;
  for (
    const [name, key] of [
      ["31 bytes", new Uint8Array(31)],
      ["a public JWK", { ...jwk, d: undefined }],
      ["another curve", { ...jwk, crv: "Ed25519" }],
      ["halves of two keys", { ...jwk, x: (await generateAgreementKey()).x }],
      ["a public CryptoKey", publicKey],
      ["a CryptoKey for signing", (await generateKeyPair()).privateKey],
    ] as [string, never][]
  ) {
    const error = await StaticKey.import(key).catch((error) => error);
    assert.instance(error, TunnelError, name);
    assert.is(error.code, "usage", name);
    assert.not(error.message.includes(jwk.d), name);
  }
});

test("agreements with static keys are remembered, for as many keys as are allowed", async () => {
  let computed = 0;
  const counting = {
    ...nobleSuite,
    importKeyPair: () => ({
      publicKey: new Uint8Array(32),
      agree: (remote: Uint8Array) => {
        computed++;
        return remote.slice();
      },
    }),
  };
  const key = await StaticKey.import(new Uint8Array(32), counting);
  const remote = (index: number) => {
    const bytes = new Uint8Array(32);
    new DataView(bytes.buffer).setUint32(0, index + 1);
    return bytes;
  };
  for (let i = 0; i < REMEMBERED; i++) await key.agreeStatic(remote(i));
  assert.is(computed, REMEMBERED);
  for (let i = 0; i < REMEMBERED; i++) assert.equal(await key.agreeStatic(remote(i)), remote(i));
  assert.is(computed, REMEMBERED);
  await key.agreeStatic(remote(0));
  await key.agreeStatic(remote(REMEMBERED));
  assert.is(computed, REMEMBERED + 1);
  await key.agreeStatic(remote(0));
  assert.is(computed, REMEMBERED + 1, "the one used last is kept");
  await key.agreeStatic(remote(1));
  assert.is(computed, REMEMBERED + 2, "the one used longest ago is not");
  await key.agree(remote(1));
  assert.is(computed, REMEMBERED + 3, "other agreements are not remembered");
});

test.run();

function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(() => "nothing", (error) => {
    assert.instance(error, TunnelError);
    return error.code;
  });
}
