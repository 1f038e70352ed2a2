/** The published vectors of the primitives, on each implementation, and the two against each other. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../../tests/random.ts";
import { loadNativeSuite } from "./native_suite.ts";
import { nobleSuite } from "./noble_suite.ts";
import { platformSuite } from "./platform_suite.ts";
import { loadSodium } from "./sodium_cipher.ts";
import { TAG_LENGTH } from "./suite.ts";

const test = suite("noise suite");
const native = loadNativeSuite()!;
const EMPTY = new Uint8Array(0);
const hex = (text: string) => Uint8Array.fromHex(text);

test("the platform's own implementation is found and preferred", () => {
  assert.ok(native);
  assert.is.not(platformSuite(), nobleSuite);
  assert.is(platformSuite(), platformSuite());
});

const sodium = { ...nobleSuite, ...(await loadSodium())! };

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

for (
  const [name, implementation] of [
    ["native", native],
    ["noble", nobleSuite],
    ["sodium", sodium],
  ] as const
) {
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

  test(`${name}: AEAD of RFC 8439, section 2.8.2`, () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
    const nonce = hex("070000004041424344454647");
    const ad = hex("50515253c0c1c2c3c4c5c6c7");
    const message = new TextEncoder().encode(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the " +
        "future, sunscreen would be it.",
    );
    const expected = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6" +
      "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36" +
      "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc" +
      "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691";
    const target = new Uint8Array(message.length + TAG_LENGTH);
    target.set(message);
    implementation.seal(key, nonce, ad, target);
    assert.is(target.toHex(), expected);
    assert.equal(implementation.open(key, nonce, ad, hex(expected)), message);
  });

  test(`${name}: AEAD of RFC 8439, appendix A.5`, () => {
    const message = implementation.open(
      hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"),
      hex("000000000102030405060708"),
      hex("f33388860000000000004e91"),
      hex(
        "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2" +
          "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf" +
          "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855" +
          "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4" +
          "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e" +
          "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a" +
          "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10" +
          "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29" +
          "a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38",
      ),
    );
    assert.is(message.length, 265);
    assert.match(new TextDecoder().decode(message), /^Internet-Drafts are draft documents valid/);
  });

  test(`${name}: what was altered anywhere, or lacks its end, does not open`, () => {
    const random = new Random(newSeed());
    const [key, nonce, ad] = [random.bytes(32), random.bytes(12), random.bytes(9)];
    const sealed = new Uint8Array(20 + TAG_LENGTH);
    implementation.seal(key, nonce, ad, sealed);
    implementation.open(key, nonce, ad, sealed);
    for (let at = 0; at < sealed.length; at++) {
      const altered = sealed.slice();
      altered[at]! ^= 1 << random.below(8);
      assert.throws(() => implementation.open(key, nonce, ad, altered));
    }
    assert.throws(() => implementation.open(key, nonce, ad, sealed.subarray(0, -1)));
    assert.throws(() => implementation.open(key, nonce, ad.subarray(1), sealed));
    assert.throws(() => implementation.open(key, nonce, EMPTY, sealed));
  });
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

test("native and noble seal alike and open each other's messages", () => {
  const random = new Random(newSeed());
  const sizes = [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 65_536, 262_145, 300_000];
  for (let i = 0; i < 40; i++) sizes.push(random.below(5_000));
  for (const size of sizes) {
    const [key, nonce, ad] = [random.bytes(32), random.bytes(12), random.bytes(random.below(40))];
    const message = random.bytes(size);
    const at = random.below(9);
    const [a, b] = [native, nobleSuite].map((each) => {
      const target = new Uint8Array(at + size + TAG_LENGTH).subarray(at);
      target.set(message);
      each.seal(key, nonce, ad, target);
      return target;
    });
    assert.is(compare(a!, b!), 0, `sealed, ${size} bytes`);
    assert.is(compare(native.open(key, nonce, ad, b!), message), 0, `opened, ${size} bytes`);
    assert.is(compare(nobleSuite.open(key, nonce, ad, a!), message), 0, `opened, ${size} bytes`);
  }
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

/** Where they differ first, from 1; 0 where they do not: uvu's own comparison is slow on so many. */
function compare(a: Uint8Array, b: Uint8Array): number {
  return a.length === b.length ? a.findIndex((byte, i) => byte !== b[i]) + 1 : -1;
}
