import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../../tests/random.ts";
import { concat } from "../bytes.ts";
import { TunnelError } from "../errors.ts";
import { generateAgreementKey } from "../identity/keys.ts";
import { Handshake, type HandshakeOptions, MAX_MESSAGE } from "./handshake.ts";
import { loadNativeSuite } from "./native_suite.ts";
import { nobleSuite } from "./noble_suite.ts";
import { StaticKey } from "./static_key.ts";
import { SUITE_NAME } from "./suite.ts";
import { SymmetricState } from "./symmetric_state.ts";

const test = suite("noise handshake");
const EMPTY = new Uint8Array(0);
const HELLO = new TextEncoder().encode("hello");
const native = loadNativeSuite()!;

test("IK: both ends end with the same hash, export and keys, on any mix of implementations", async () => {
  const jwks = [await generateAgreementKey(), await generateAgreementKey()];
  const held = await Promise.all(
    jwks.map((jwk) => crypto.subtle.importKey("jwk", jwk, "X25519", false, ["deriveBits"])),
  );
  for (const [one, other] of [[native, nobleSuite], [nobleSuite, native], [native, native]]) {
    for (const [a, b] of [jwks, held]) {
      const initiator = await StaticKey.import(a!, one);
      const responder = await StaticKey.import(b!, other);
      const ends = ik(initiator, responder);
      ends.initiator = new Handshake({ ...ends.options.initiator, suite: one });
      ends.responder = new Handshake({ ...ends.options.responder, suite: other });
      assert.is(ends.responder.remoteStatic, undefined);
      const first = await ends.initiator.writeMessage(HELLO);
      assert.is(first.length, 96 + HELLO.length);
      assert.equal(await ends.responder.readMessage(first), HELLO);
      assert.equal(ends.responder.remoteStatic, initiator.publicKey);
      const second = await ends.responder.writeMessage();
      assert.is(second.length, 48);
      assert.equal(await ends.initiator.readMessage(second), EMPTY);
      assert.ok(ends.initiator.complete && ends.responder.complete);
      assert.equal(ends.initiator.handshakeHash, ends.responder.handshakeHash);
      const [left, right] = [ends.initiator.split(), ends.responder.split()];
      assert.equal(left.exported, right.exported);
      assert.is(left.exported.buffer.byteLength, 32, "the keys do not lie beside it");
      const sealed = [new Uint8Array(21), new Uint8Array(21)] as const;
      left.send.seal(EMPTY, [HELLO], sealed[0], 0);
      right.send.seal(EMPTY, [HELLO], sealed[1], 0);
      assert.not.equal(sealed[0], sealed[1]);
      assert.equal(right.receive.open(EMPTY, sealed[0]), HELLO);
      assert.equal(left.receive.open(EMPTY, sealed[1]), HELLO);
    }
  }
});

test("IK: every handshake has keys of its own", async () => {
  const keys = await twoKeys();
  const hashes = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const { initiator, responder } = ik(...keys);
    await responder.readMessage(await initiator.writeMessage());
    await initiator.readMessage(await responder.writeMessage());
    hashes.add(initiator.handshakeHash.toHex());
    hashes.add(initiator.split().exported.toHex());
  }
  assert.is(hashes.size, 6);
});

test("IK: a first message altered in any byte is refused", async () => {
  const random = new Random(newSeed());
  const keys = await twoKeys();
  const message = await ik(...keys).initiator.writeMessage(HELLO);
  for (let at = 0; at < message.length; at++) {
    const altered = message.with(at, message[at]! ^ (1 << random.below(8)));
    const { responder } = ik(...keys);
    assert.is(await codeOf(responder.readMessage(altered)), "refused", `byte ${at}`);
    assert.is(responder.remoteStatic, undefined);
    assert.is(await codeOf(responder.readMessage(message)), "usage", "it is over");
    assert.is(await codeOf(responder.writeMessage()), "usage", "it is over");
  }
  // X25519 ignores this bit, so that only the hash of the message tells.
  const { responder } = ik(...keys);
  const altered = message.with(31, message[31]! ^ 0x80);
  assert.is(await codeOf(responder.readMessage(altered)), "refused");
  assert.equal(await ik(...keys).responder.readMessage(message), HELLO);
});

test("IK: a second message altered in any byte is refused", async () => {
  const random = new Random(newSeed());
  const keys = await twoKeys();
  const ephemeral = random.bytes(32);
  const started = async () => {
    const { options, responder } = ik(...keys);
    const initiator = new Handshake({ ...options.initiator, ephemeral });
    return { initiator, responder, first: await initiator.writeMessage() };
  };
  const { responder, first } = await started();
  await responder.readMessage(first);
  const message = await responder.writeMessage(HELLO);
  for (let at = 0; at < message.length; at++) {
    const { initiator } = await started();
    const altered = message.with(at, message[at]! ^ (1 << random.below(8)));
    assert.is(await codeOf(initiator.readMessage(altered)), "refused", `byte ${at}`);
    assert.is(await codeOf(initiator.readMessage(message)), "usage", "it is over");
    assert.throws(() => initiator.split(), isMisuse);
    assert.throws(() => initiator.handshakeHash, isMisuse);
  }
  assert.equal(await (await started()).initiator.readMessage(message), HELLO);
});

test("IK: messages that are cut off or too long are refused", async () => {
  const keys = await twoKeys();
  const message = await ik(...keys).initiator.writeMessage(HELLO);
  for (let length = 0; length < message.length; length++) {
    const code = await codeOf(ik(...keys).responder.readMessage(message.subarray(0, length)));
    assert.is(code, length < 96 ? "protocol" : "refused", `${length} bytes`);
  }
  const long = concat([message, new Uint8Array(MAX_MESSAGE + 1 - message.length)]);
  assert.is(await codeOf(ik(...keys).responder.readMessage(long)), "protocol");
  assert.is(await codeOf(ik(...keys).responder.readMessage(long.subarray(0, -1))), "refused");
});

test("IK: a payload fills a message of 65,535 bytes, and no more", async () => {
  const { initiator, responder, options } = ik(...await twoKeys());
  const message = await initiator.writeMessage(new Uint8Array(MAX_MESSAGE - 96));
  assert.is(message.length, MAX_MESSAGE);
  assert.is((await responder.readMessage(message)).length, MAX_MESSAGE - 96);
  const other = new Handshake(options.initiator);
  assert.is(await codeOf(other.writeMessage(new Uint8Array(MAX_MESSAGE - 95))), "usage");
});

test("IK: another prologue or another key is refused", async () => {
  const [a, b, stranger] = [...await twoKeys(), (await twoKeys())[0]];
  const { options } = ik(a, b);
  const message = await new Handshake(options.initiator).writeMessage();
  for (
    const changed of [
      { prologue: Uint8Array.of(1) },
      { prologue: undefined },
      { staticKey: stranger },
    ]
  ) {
    const responder = new Handshake({ ...options.responder, ...changed });
    assert.is(await codeOf(responder.readMessage(message)), "refused");
  }
});

test("IK: who does not hold the key that was asked for cannot answer", async () => {
  const [a, b, thief] = [...await twoKeys(), (await twoKeys())[0]];
  const { initiator } = ik(a, b);
  const message = await initiator.writeMessage();
  // It knows both public keys and everything on the wire, and holds a key of its own.
  const symmetric = new SymmetricState(`Noise_IK_${SUITE_NAME}`, native);
  const ephemeral = native.generateKeyPair();
  for (const part of [PROLOGUE, b.publicKey, message, ephemeral.publicKey]) symmetric.mixHash(part);
  symmetric.mixKey(await ephemeral.agree(message.subarray(0, 32)));
  symmetric.mixKey(await thief.agree(a.publicKey));
  const answer = concat([ephemeral.publicKey, symmetric.encrypt(HELLO)]);
  assert.is(await codeOf(initiator.readMessage(answer)), "refused");
});

test("IK: keys of low order are refused, be they ephemeral or static", async () => {
  const keys = await twoKeys();
  const zeros = new Uint8Array(32);
  const message = await ik(...keys).initiator.writeMessage();
  const first = message.slice();
  first.set(zeros);
  assert.is(await codeOf(ik(...keys).responder.readMessage(first)), "protocol");

  const { initiator } = ik(...keys);
  await initiator.writeMessage();
  assert.is(await codeOf(initiator.readMessage(new Uint8Array(48))), "protocol");

  // Nobody holds this static key, but everybody knows what it agrees on: zeros.
  const symmetric = new SymmetricState(`Noise_IK_${SUITE_NAME}`, native);
  const ephemeral = native.generateKeyPair();
  for (const part of [PROLOGUE, keys[1].publicKey, ephemeral.publicKey]) symmetric.mixHash(part);
  symmetric.mixKey(await ephemeral.agree(keys[1].publicKey));
  const sealedKey = symmetric.encrypt(zeros);
  symmetric.mixKey(zeros);
  const forged = concat([ephemeral.publicKey, sealedKey, symmetric.encrypt(HELLO)]);
  const { responder } = ik(...keys);
  assert.is(await codeOf(responder.readMessage(forged)), "protocol");
  assert.is(responder.remoteStatic, undefined);
});

test("each call has its turn", async () => {
  const { initiator, responder } = ik(...await twoKeys());
  assert.is(await codeOf(initiator.readMessage(new Uint8Array(96))), "usage");
  assert.is(await codeOf(responder.writeMessage()), "usage");
  assert.throws(() => initiator.split(), isMisuse);
  assert.throws(() => initiator.handshakeHash, isMisuse);
  const writing = initiator.writeMessage();
  assert.is(await codeOf(initiator.writeMessage()), "usage", "one at a time");
  const first = await writing;
  assert.is(await codeOf(initiator.writeMessage()), "usage");
  await responder.readMessage(first);
  await initiator.readMessage(await responder.writeMessage());
  assert.is(await codeOf(initiator.writeMessage()), "usage");
  initiator.split();
  assert.throws(() => initiator.split(), isMisuse);
  assert.is(initiator.handshakeHash.length, 32);
});

test("a handshake has exactly the keys that its pattern needs", async () => {
  const [staticKey, other] = await twoKeys();
  const remoteStatic = other.publicKey;
  const psk = new Uint8Array(32);
  const initiator = true;
  const wrong: HandshakeOptions[] = [
    { pattern: "NN", initiator, staticKey },
    { pattern: "NN", initiator, remoteStatic },
    { pattern: "NK", initiator },
    { pattern: "NK", initiator, remoteStatic, staticKey },
    { pattern: "NK", initiator: false },
    { pattern: "NK", initiator: false, staticKey, remoteStatic },
    { pattern: "IK", initiator, remoteStatic },
    { pattern: "IK", initiator, staticKey },
    { pattern: "IK", initiator, staticKey, remoteStatic, psk },
    { pattern: "IKpsk2", initiator, staticKey, remoteStatic },
    { pattern: "IKpsk2", initiator, staticKey, remoteStatic, psk: psk.subarray(1) },
    { pattern: "IK", initiator, staticKey, remoteStatic: remoteStatic.subarray(1) },
    { pattern: "IK", initiator, staticKey, remoteStatic, ephemeral: new Uint8Array(33) },
    { pattern: "KK", initiator: false, staticKey },
    { pattern: "XX", initiator },
    { pattern: "XX", initiator, staticKey, remoteStatic },
  ];
  for (const options of wrong) assert.throws(() => new Handshake(options), isMisuse);
  new Handshake({ pattern: "IKpsk2", initiator, staticKey, remoteStatic, psk });
});

test("IKpsk2: another pre-shared key is refused", async () => {
  const { options } = ik(...await twoKeys());
  const ends = [Uint8Array.of(1), Uint8Array.of(2)].map((fill, i) =>
    new Handshake({
      ...(i === 0 ? options.initiator : options.responder),
      pattern: "IKpsk2",
      psk: new Uint8Array(32).fill(fill[0]!),
    })
  );
  await ends[1]!.readMessage(await ends[0]!.writeMessage());
  const answer = await ends[1]!.writeMessage();
  assert.is(await codeOf(ends[0]!.readMessage(answer)), "refused");
});

test("what is given and what is shown may be overwritten", async () => {
  const { options, responder } = ik(...await twoKeys());
  const remoteStatic = options.initiator.remoteStatic.slice();
  const initiator = new Handshake({ ...options.initiator, remoteStatic });
  remoteStatic.fill(0);
  initiator.remoteStatic!.fill(0);
  const message = await initiator.writeMessage(HELLO);
  assert.equal(await responder.readMessage(message), HELLO);
  responder.remoteStatic!.fill(0);
  message.fill(0);
  await initiator.readMessage(await responder.writeMessage());
  assert.equal(initiator.handshakeHash, responder.handshakeHash);
});

test("options of split reach both directions", async () => {
  const { initiator, responder } = ik(...await twoKeys());
  await responder.readMessage(await initiator.writeMessage());
  await initiator.readMessage(await responder.writeMessage());
  const ends = [initiator, responder].map((end) => end.split({ maxMessages: 1 }));
  for (const { send } of ends) {
    send.seal(EMPTY, [], new Uint8Array(16), 0);
    assert.throws(
      () => send.seal(EMPTY, [], new Uint8Array(16), 0),
      (error: unknown) => error instanceof TunnelError && error.code === "limit",
    );
  }
});

test.run();

const PROLOGUE = new TextEncoder().encode("the subject");

async function twoKeys(): Promise<[StaticKey, StaticKey]> {
  const [a, b] = [await generateAgreementKey(), await generateAgreementKey()];
  return [await StaticKey.import(a), await StaticKey.import(b)];
}

/** Both ends of a new IK handshake between two keys, and what they were made of. */
function ik(a: StaticKey, b: StaticKey) {
  const common = { pattern: "IK", prologue: PROLOGUE } as const;
  const options = {
    initiator: { ...common, initiator: true, staticKey: a, remoteStatic: b.publicKey },
    responder: { ...common, initiator: false, staticKey: b },
  };
  return {
    options,
    initiator: new Handshake(options.initiator),
    responder: new Handshake(options.responder),
  };
}

function isMisuse(error: unknown): boolean {
  return error instanceof TunnelError && error.code === "usage";
}

/** What it fails with; "nothing" where it does not. */
function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(() => "nothing", (error) => {
    assert.instance(error, TunnelError);
    assert.not.match(error.message, /\n/);
    return error.code;
  });
}
