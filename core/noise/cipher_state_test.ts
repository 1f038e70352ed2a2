import { suite } from "uvu";
import * as assert from "uvu/assert";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { gcm } from "@noble/ciphers/aes.js";
import { nobleAesGcm } from "../../tests/ciphers.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { TunnelError } from "../errors.ts";
import { CipherState, type CipherStateOptions, SHORT, writeNonce } from "./cipher_state.ts";
import { nobleSuite } from "./noble_suite.ts";
import { TAG_LENGTH } from "./suite.ts";

const test = suite("noise cipher state");
const EMPTY = new Uint8Array(0);

test("seal leaves what stands around it, and takes its parts as one message", () => {
  const random = new Random(newSeed());
  const { sender, receiver } = pair(random);
  for (const sizes of [[], [0], [1, 0, 300], [1, 70_000], [1, 262_144]]) {
    const parts = sizes.map((size) => random.bytes(size));
    const length = sizes.reduce((sum, size) => sum + size, 0);
    const target = new Uint8Array(4 + length + TAG_LENGTH + 3).fill(0xee);
    sender.seal(EMPTY, parts, target, 4);
    assert.is(target.subarray(0, 4).toHex(), "eeeeeeee");
    assert.is(target.subarray(-3).toHex(), "eeeeee");
    const message = receiver.open(EMPTY, target.subarray(4, -3));
    assert.ok(message.toHex() === parts.map((part) => part.toHex()).join(""), `parts ${sizes}`);
  }
});

test("seal refuses a target that is too short, and uses up no nonce by that", () => {
  const { sender, receiver } = pair(new Random(newSeed()));
  const target = new Uint8Array(5 + TAG_LENGTH);
  assert.is(codeOf(() => sender.seal(EMPTY, [new Uint8Array(5)], target, 1)), "usage");
  sender.seal(EMPTY, [new Uint8Array(5)], target, 0);
  assert.is(receiver.open(EMPTY, target).length, 5);
});

test("messages open once each and in order", () => {
  for (
    const [name, opened, last] of [
      ["repeated", [0], 0],
      ["the first left out", [], 1],
      ["a later one left out", [0, 1], 3],
      ["an old one", [0, 1, 2], 1],
    ] as const
  ) {
    const { sender, receiver } = pair(new Random(newSeed()));
    const messages = Array.from({ length: 4 }, () => seal(sender));
    for (const index of opened) receiver.open(EMPTY, messages[index]!);
    assert.is(codeOf(() => receiver.open(EMPTY, messages[last]!)), "protocol", name);
  }
});

test("open fails on every altered byte, on another ad and on what is too short, and then for good", () => {
  const random = new Random(newSeed());
  const ad = random.bytes(3);
  const attempts: [Uint8Array, (sealed: Uint8Array) => Uint8Array][] = [
    [EMPTY, (sealed) => sealed],
    [ad, (sealed) => sealed.subarray(0, -1)],
    [ad, (sealed) => sealed.subarray(0, TAG_LENGTH - 1)],
    [ad, () => EMPTY],
  ];
  for (let at = 0; at < 4 + TAG_LENGTH; at++) {
    attempts.push([ad, (sealed) => sealed.with(at, sealed[at]! ^ (1 << random.below(8)))]);
  }
  for (const [given, alter] of attempts) {
    const { sender, receiver } = pair(random);
    const sealed = seal(sender, ad);
    const next = seal(sender, ad);
    assert.is(codeOf(() => receiver.open(given, alter(sealed))), "protocol");
    assert.is(codeOf(() => receiver.open(ad, next)), "protocol");
    assert.is(codeOf(() => receiver.open(ad, sealed)), "protocol");
  }
});

test("a nonce is the count in 64 bits, little-endian, after 32 bits of zeros", () => {
  const nonces: string[] = [];
  const seal = (_key: Uint8Array, nonce: Uint8Array) => void nonces.push(nonce.toHex());
  const state = new CipherState(new Uint8Array(32), {}, { ...nobleSuite, seal });
  for (let i = 0; i < 258; i++) state.seal(EMPTY, [], new Uint8Array(TAG_LENGTH), 0);
  assert.is(nonces[0], "000000000000000000000000");
  assert.is(nonces[1], "000000000100000000000000");
  assert.is(nonces[257], "000000000101000000000000");
  const nonce = new Uint8Array(12);
  writeNonce(nonce, 2 ** 32 + 5);
  assert.is(nonce.toHex(), "000000000500000001000000");
  writeNonce(nonce, Number.MAX_SAFE_INTEGER);
  assert.is(nonce.toHex(), "00000000ffffffffffff1f00");
});

test("the key is replaced after rekeyAfter messages, at both ends, and the count goes on", () => {
  const random = new Random(newSeed());
  const key = random.bytes(32);
  const { sender, receiver } = pair(random, { rekeyAfter: 3 }, key);
  const last = Uint8Array.fromHex("00000000ffffffffffffffff");
  let current: Uint8Array = key;
  for (let count = 0; count < 10; count++) {
    if (count > 0 && count % 3 === 0) {
      current = chacha20poly1305(current, last).encrypt(new Uint8Array(32)).slice(0, 32);
    }
    const sealed = seal(sender);
    const nonce = Uint8Array.fromHex(`000000000${count}00000000000000`);
    assert.equal(chacha20poly1305(current, nonce).decrypt(sealed), MESSAGE);
    assert.equal(receiver.open(EMPTY, sealed), MESSAGE);
  }
});

test("by default a key is replaced after 2^20 messages", () => {
  const keys: Uint8Array[] = [];
  const spy = {
    ...nobleSuite,
    seal: (key: Uint8Array) => void (keys.at(-1) === key || keys.push(key)),
  };
  const state = new CipherState(new Uint8Array(32), {}, spy);
  const target = new Uint8Array(TAG_LENGTH);
  for (let i = 0; i < 2 ** 20; i++) state.seal(EMPTY, [], target, 0);
  assert.is(keys.length, 1);
  state.seal(EMPTY, [], target, 0);
  assert.is(keys.length, 2);
});

test("ends that replace their keys at different times do not understand each other", () => {
  const random = new Random(newSeed());
  const key = random.bytes(32);
  const sender = new CipherState(key, { rekeyAfter: 2 });
  const receiver = new CipherState(key, { rekeyAfter: 3 });
  for (let i = 0; i < 2; i++) receiver.open(EMPTY, seal(sender));
  assert.is(codeOf(() => receiver.open(EMPTY, seal(sender))), "protocol");
});

test("no message is sealed or opened once the nonces are used up", () => {
  const random = new Random(newSeed());
  const key = random.bytes(32);
  const sender = new CipherState(key);
  const limited = pair(random, { maxMessages: 2 }, key);
  for (let i = 0; i < 2; i++) {
    seal(limited.sender);
    limited.receiver.open(EMPTY, seal(sender));
  }
  for (let i = 0; i < 2; i++) {
    assert.is(codeOf(() => seal(limited.sender)), "limit");
    assert.is(codeOf(() => limited.receiver.open(EMPTY, seal(sender))), "limit");
  }
});

test("long messages go by AESGCM, with a key of their own and nonces that are big-endian", () => {
  const random = new Random(newSeed());
  const [key, longKey] = [random.bytes(32), random.bytes(32)];
  const { sender, receiver } = pairForLong({ rekeyAfter: 4 }, key, longKey);
  let [current, currentLong] = [key, longKey] as Uint8Array[];
  for (let count = 0; count < 10; count++) {
    if (count > 0 && count % 4 === 0) {
      const last = Uint8Array.fromHex("00000000ffffffffffffffff");
      current = chacha20poly1305(current!, last).encrypt(new Uint8Array(32)).slice(0, 32);
      currentLong = gcm(currentLong!, last).encrypt(new Uint8Array(32)).slice(0, 32);
    }
    const isLong = random.below(2) === 1;
    const message = random.bytes(SHORT - TAG_LENGTH + (isLong ? 1 : 0));
    const sealed = sealAll(sender, message);
    const digits = `0${count}`;
    const expected = isLong
      ? gcm(currentLong!, Uint8Array.fromHex(`0000000000000000000000${digits}`))
      : chacha20poly1305(current!, Uint8Array.fromHex(`00000000${digits}00000000000000`));
    assert.equal(expected.decrypt(sealed), message);
    assert.equal(receiver.open(EMPTY, sealed), message);
  }
});

test("a message of either kind that is moved before one of the other does not open", () => {
  for (const lengths of [[10, 5_000], [5_000, 10]]) {
    const { sender, receiver } = pairForLong({});
    const [, second] = lengths.map((length) => sealAll(sender, new Uint8Array(length)));
    assert.is(codeOf(() => receiver.open(EMPTY, second!)), "protocol");
  }
});

test("a cipher for long messages is set before the first message or never", () => {
  const { sender, receiver } = pair(new Random(newSeed()));
  receiver.open(EMPTY, seal(sender));
  for (const state of [sender, receiver]) {
    assert.is(codeOf(() => state.useForLong(nobleAesGcm, new Uint8Array(32))), "usage");
  }
});

test("an end that has long messages go by another cipher is not understood by one that has not", () => {
  const key = new Uint8Array(32);
  const { sender } = pairForLong({}, key);
  const receiver = new CipherState(key);
  receiver.open(EMPTY, seal(sender));
  assert.is(codeOf(() => receiver.open(EMPTY, sealAll(sender, new Uint8Array(SHORT)))), "protocol");
});

test.run();

const MESSAGE = new TextEncoder().encode("four");

function pair(random: Random, options: CipherStateOptions = {}, key = random.bytes(32)) {
  return { sender: new CipherState(key, options), receiver: new CipherState(key, options) };
}

function pairForLong(
  options: CipherStateOptions,
  key: Uint8Array = new Uint8Array(32).fill(1),
  longKey: Uint8Array = new Uint8Array(32).fill(2),
) {
  const [sender, receiver] = [new CipherState(key, options), new CipherState(key, options)];
  for (const state of [sender, receiver]) state.useForLong(nobleAesGcm, longKey);
  return { sender, receiver };
}

function sealAll(state: CipherState, message: Uint8Array): Uint8Array<ArrayBuffer> {
  const target = new Uint8Array(message.length + TAG_LENGTH);
  state.seal(EMPTY, [message], target, 0);
  return target;
}

function seal(state: CipherState, ad: Uint8Array = EMPTY): Uint8Array<ArrayBuffer> {
  const target = new Uint8Array(MESSAGE.length + TAG_LENGTH);
  state.seal(ad, [MESSAGE], target, 0);
  return target;
}

/** What it fails with; "nothing" where it does not. */
function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.instance(error, TunnelError);
    assert.not.match((error as TunnelError).message, /\n/);
    return (error as TunnelError).code;
  }
  return "nothing";
}
