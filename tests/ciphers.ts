/** The published vectors of the two ciphers of Noise, and what holds for every implementation. */

import { gcm } from "@noble/ciphers/aes.js";
import type { Test } from "uvu";
import * as assert from "uvu/assert";
import { nobleSuite } from "../core/noise/noble_suite.ts";
import { type Cipher, TAG_LENGTH } from "../core/noise/suite.ts";
import { newSeed, Random } from "./random.ts";

const EMPTY = new Uint8Array(0);
const hex = (text: string) => Uint8Array.fromHex(text);

/** AES-256-GCM in JavaScript, to compare others with. */
export const nobleAesGcm: Cipher = {
  seal: (key, nonce, ad, bytes) =>
    bytes.set(gcm(key, nonce, ad).encrypt(bytes.subarray(0, -TAG_LENGTH))),
  open: (key, nonce, ad, sealed) => gcm(key, nonce, ad).decrypt(sealed) as Uint8Array<ArrayBuffer>,
};

export function testChaChaPoly(test: Test, name: string, cipher: Cipher): void {
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
    seals(cipher, { key, nonce, ad, message, expected });
  });

  test(`${name}: AEAD of RFC 8439, appendix A.5`, () => {
    const message = cipher.open(
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

  testCipher(test, name, cipher, nobleSuite);
}

export function testAesGcm(test: Test, name: string, cipher: Cipher): void {
  test(`${name}: AES-256-GCM of McGrew and Viega, test cases 14 and 16`, () => {
    seals(cipher, {
      key: new Uint8Array(32),
      nonce: new Uint8Array(12),
      ad: EMPTY,
      message: new Uint8Array(16),
      expected: "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    });
    seals(cipher, {
      key: hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
      nonce: hex("cafebabefacedbaddecaf888"),
      ad: hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
      message: hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
      ),
      expected: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa" +
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
        "76fc6ece0f4e1768cddf8853bb2d551b",
    });
  });

  testCipher(test, name, cipher, nobleAesGcm);
}

interface Vector {
  key: Uint8Array;
  nonce: Uint8Array;
  ad: Uint8Array;
  message: Uint8Array;
  /** In hexadecimal, with the tag. */
  expected: string;
}

function seals(cipher: Cipher, { key, nonce, ad, message, expected }: Vector): void {
  const target = new Uint8Array(message.length + TAG_LENGTH);
  target.set(message);
  cipher.seal(key, nonce, ad, target);
  assert.is(target.toHex(), expected);
  assert.equal(cipher.open(key, nonce, ad, hex(expected)), message);
}

function testCipher(test: Test, name: string, cipher: Cipher, reference: Cipher): void {
  test(`${name}: what was altered anywhere, or lacks its end, does not open`, () => {
    const random = new Random(newSeed());
    const [key, nonce, ad] = [random.bytes(32), random.bytes(12), random.bytes(9)];
    const sealed = new Uint8Array(20 + TAG_LENGTH);
    cipher.seal(key, nonce, ad, sealed);
    cipher.open(key, nonce, ad, sealed);
    for (let at = 0; at < sealed.length; at++) {
      const altered = sealed.slice();
      altered[at]! ^= 1 << random.below(8);
      assert.throws(() => cipher.open(key, nonce, ad, altered));
    }
    assert.throws(() => cipher.open(key, nonce, ad, sealed.subarray(0, -1)));
    assert.throws(() => cipher.open(key, nonce, ad.subarray(1), sealed));
    assert.throws(() => cipher.open(key, nonce, EMPTY, sealed));
    // What has failed leaves nothing to the next.
    cipher.open(key, nonce, ad, sealed);
  });

  test(`${name}: seals like the one in JavaScript, and opens what that has sealed`, () => {
    const random = new Random(newSeed());
    const sizes = [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 65_536, 130_960, 262_145];
    for (let i = 0; i < 40; i++) sizes.push(random.below(5_000));
    for (const size of sizes) {
      const [key, nonce, ad] = [random.bytes(32), random.bytes(12), random.bytes(random.below(40))];
      const message = random.bytes(size);
      const at = random.below(9);
      const [a, b] = [cipher, reference].map((each) => {
        const target = new Uint8Array(at + size + TAG_LENGTH).subarray(at);
        target.set(message);
        each.seal(key, nonce, ad, target);
        return target;
      });
      assert.is(compare(a!, b!), 0, `sealed, ${size} bytes`);
      assert.is(compare(cipher.open(key, nonce, ad, b!), message), 0, `opened, ${size} bytes`);
    }
  });
}

/** Where they differ first, from 1; 0 where they do not: uvu's own comparison is slow on so many. */
function compare(a: Uint8Array, b: Uint8Array): number {
  return a.length === b.length ? a.findIndex((byte, i) => byte !== b[i]) + 1 : -1;
}
