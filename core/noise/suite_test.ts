/** The published vectors of the primitives, on each implementation, and the two against each other. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { testAesGcm, testChaChaPoly } from "../../tests/ciphers.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { loadNativeSuite } from "./native_suite.ts";
import { nobleSuite } from "./noble_suite.ts";
import { considerCiphers, fastAesGcm, isWellFaster, platformSuite } from "./platform_suite.ts";
import { loadSodium } from "./sodium_cipher.ts";
import { type Cipher, type Suite, TAG_LENGTH } from "./suite.ts";

const test = suite("noise suite");
const native = loadNativeSuite()!;
const EMPTY = new Uint8Array(0);
const hex = (text: string) => Uint8Array.fromHex(text);

test("the platform's own implementation is found and preferred", () => {
  assert.ok(native);
  assert.is.not(platformSuite(), nobleSuite);
  assert.is(platformSuite(), platformSuite());
});

const sodium = withCipher((await loadSodium())!);

test("libsodium is there, and what is small goes by it from then on", () => {
  assert.ok(sodium.seal !== nobleSuite.seal);
  const [key, nonce] = [new Uint8Array(32), new Uint8Array(12)];
  for (const length of [17, 1_536, 1_537]) {
    const [one, two] = [new Uint8Array(length), new Uint8Array(length)];
    platformSuite().seal(key, nonce, EMPTY, one);
    sodium.seal(key, nonce, EMPTY, two);
    assert.equal(one, two);
    assert.equal(platformSuite().open(key, nonce, EMPTY, two), new Uint8Array(length - 16));
  }
});

const implementations: [name: string, implementation: Suite][] = [
  ["native", native],
  ["noble", nobleSuite],
  ["sodium", sodium],
];
for (const [name, implementation] of implementations) {
  test(`${name}: X25519 of RFC 7748, section 5.2`, async () => {
    for (
      const [scalar, point, result] of [
        [
          "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
          "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
          "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ],
        // Its point has the high bit set, which must be ignored.
        [
          "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
          "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
          "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ],
      ] as const
    ) {
      const shared = await implementation.importKeyPair(hex(scalar)).agree(hex(point));
      assert.is(shared.toHex(), result);
    }
  });

  test(`${name}: X25519 of RFC 7748, section 5.2, iterated`, async () => {
    let k: Uint8Array = hex("09".padEnd(64, "0"));
    let u = k;
    for (let i = 1; i <= 1_000; i++) {
      [k, u] = [await implementation.importKeyPair(k).agree(u), k];
      if (i > 1) continue;
      assert.is(k.toHex(), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    assert.is(k.toHex(), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
  });

  test(`${name}: the key agreement of RFC 7748, section 6.1`, async () => {
    const alice = implementation.importKeyPair(
      hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
    );
    const bob = implementation.importKeyPair(
      hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
    );
    const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    assert.is(
      alice.publicKey.toHex(),
      "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    );
    assert.is(
      bob.publicKey.toHex(),
      "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    );
    assert.is((await alice.agree(bob.publicKey)).toHex(), shared);
    assert.is((await bob.agree(alice.publicKey)).toHex(), shared);
  });

  test(`${name}: HKDF of RFC 5869, appendix A.3, which has no salt and no info`, () => {
    const output = implementation.hkdf(EMPTY, new Uint8Array(22).fill(0x0b), 2);
    assert.is(output.length, 64);
    assert.is(
      output.subarray(0, 42).toHex(),
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    );
  });

  test(`${name}: SHA-256 of FIPS 180-4 in two parts`, () => {
    const [a, bc] = [new TextEncoder().encode("a"), new TextEncoder().encode("bc")];
    assert.is(
      implementation.hash(a, bc).toHex(),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });

  testChaChaPoly(test, name, implementation);
}

test("native and noble agree on keys, hashes and outputs", async () => {
  const random = new Random(newSeed());
  for (let i = 0; i < 20; i++) {
    const secret = random.bytes(32);
    const [a, b] = [native.importKeyPair(secret), nobleSuite.importKeyPair(secret)];
    assert.equal(a.publicKey, b.publicKey);
    const [c, d] = [native.generateKeyPair(), nobleSuite.generateKeyPair()];
    assert.equal(await a.agree(d.publicKey), await d.agree(a.publicKey));
    assert.equal(await c.agree(b.publicKey), await b.agree(c.publicKey));
    const [first, second] = [random.bytes(random.below(200)), random.bytes(random.below(2_000))];
    assert.equal(native.hash(first, second), nobleSuite.hash(first, second));
    const material = random.bytes(random.pick([0, 32]));
    for (const outputs of [2, 3] as const) {
      const made = native.hkdf(secret, material, outputs);
      assert.is(made.length, 32 * outputs);
      assert.equal(made, nobleSuite.hkdf(secret, material, outputs));
    }
  }
});

testChaChaPoly(test, "the platform's", platformSuite());
testAesGcm(test, "native", native.aesGcm);

test("a cipher is worth it where it takes less than four fifths of another's time", () => {
  let now = 0;
  const taking = (time: number): Cipher => ({ ...nobleSuite, seal: () => void (now += time) });
  const { now: real } = performance;
  performance.now = () => now;
  try {
    assert.is(isWellFaster(taking(79), taking(100)), true);
    assert.is(isWellFaster(taking(80), taking(100)), false);
    assert.is(isWellFaster(taking(100), taking(79)), false);
  } finally {
    performance.now = real;
  }
});

test("ciphers that are considered are looked for once, when a handshake asks", () => {
  let loads = 0;
  considerCiphers(() => {
    loads++;
    return undefined;
  });
  assert.is(loads, 0);
  const found = fastAesGcm();
  assert.is(fastAesGcm(), found);
  assert.is(loads, 1);
});

test("what is given out lies in memory of its own", () => {
  for (const each of [native, nobleSuite]) {
    const key = new Uint8Array(32);
    const nonce = new Uint8Array(12);
    const sealed = new Uint8Array(10 + TAG_LENGTH);
    each.seal(key, nonce, EMPTY, sealed);
    for (
      const bytes of [
        each.open(key, nonce, EMPTY, sealed),
        each.hash(key, nonce),
        each.hkdf(key, nonce, 2),
        each.generateKeyPair().publicKey,
      ]
    ) {
      assert.is(bytes.buffer.byteLength, bytes.length);
      assert.is(bytes.constructor, Uint8Array);
    }
  }
});

test.run();

function withCipher(cipher: Cipher): Suite {
  return {
    ...nobleSuite,
    seal: (key, nonce, ad, bytes) => cipher.seal(key, nonce, ad, bytes),
    open: (key, nonce, ad, sealed) => cipher.open(key, nonce, ad, sealed),
  };
}
