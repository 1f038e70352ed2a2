import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { type Fleet, startFleet } from "../../tests/fleet.ts";
import { bytes, text } from "../../tests/text.ts";
import { Challenge } from "../control.ts";
import { MessageStream } from "../control_stream.ts";
import { openLink } from "../endpoint.ts";
import { hashSecret, newSecret } from "../identity/join.ts";
import {
  exportPublicKey,
  generateAgreementKey,
  generateKeyPair,
  parseAgreementJwk,
} from "../identity/keys.ts";
import { makeProof } from "../identity/proof.ts";
import { encodeMessage } from "../message.ts";

const test = suite("relay: admission");

test("a join string works once, and makes a credential that works", async () => {
  await using fleet = await startFleet();
  const secret = newSecret();
  const now = Date.now();
  await fleet.store.apply({
    type: "invite",
    role: "device",
    name: "x",
    secretHash: await hashSecret(secret),
    expiresAt: now + 60_000,
    uses: 1,
    validity: 3_600_000,
  }, { by: "local:root", at: now });
  const { publicKey, privateKey } = await generateKeyPair();
  const join = {
    secret,
    publicKey: await exportPublicKey(publicKey),
    agreement: parseAgreementJwk(await generateAgreementKey()),
    privateKey,
  };
  const options = { relay: fleet.url, connector: fleet.connector, agent: "test" };
  const joined = await openLink({ ...options, claim: join });
  assert.equal(joined.principal, { role: "device", name: "x" });
  const { expiresAt, at } = (await fleet.store.member("device", "x"))!;
  assert.is(expiresAt, Math.floor(at / 1_000) * 1_000 + 3_600_000, "as long as it was invited for");
  const [, event] = await fleet.store.audit({ limit: 9 });
  assert.equal({ ...event, hash: "" }, {
    ...{ seq: 2, hash: "", at, type: "join", by: "device:x", from: "relay", device: "x" },
    detail: "memory",
  });
  const credential = joined.credential!;
  const again = await openLink({ ...options, claim: { credential, privateKey } });
  assert.equal(again.principal, { role: "device", name: "x" });
  const error = await failureOf(openLink({ ...options, claim: join }));
  assert.is(error.code, "refused");
  assert.match(error.message, /used up/);
  assert.not.match(error.message, secret);
});

const strangers: [string, (fleet: Fleet) => Promise<Parameters<typeof openLink>[0]["claim"]>][] = [
  [
    "an expired credential",
    (fleet) => fleet.claim("operator", "o", { ttl: 1_000, now: Date.now() - 3_600_000 }),
  ],
  ["another fleet's credential", async () => {
    await using other = await startFleet();
    return await other.claim("operator", "o");
  }],
  ["a credential without its key", async (fleet) => {
    const { privateKey } = await generateKeyPair();
    const { credential } = await fleet.claim("operator", "o") as { credential: string };
    return { credential, privateKey };
  }],
  ["garbage for a credential", async () => ({
    credential: "a.b.c",
    privateKey: (await generateKeyPair()).privateKey,
  })],
];
for (const [what, make] of strangers) {
  test(`${what} is refused, and the session closed`, async () => {
    await using fleet = await startFleet();
    const claim = await make(fleet);
    const error = await bounded(
      "the sign-in",
      failureOf(openLink({
        relay: fleet.url,
        claim,
        connector: fleet.connector,
        agent: "test",
      })),
    );
    assert.is(error.code, "refused");
    assert.is(error.exitCode, 3);
    await bounded("the close", fleet.sessions.at(-1)!.closed);
  });
}

test("a proof made for another relay's name is refused", async () => {
  await using fleet = await startFleet();
  const session = await fleet.connector.connect(fleet.url);
  const control = new MessageStream((await session.incoming.next()).value!);
  const { nonce } = await control.receive(Challenge, { action: "test" });
  const { credential, privateKey } = await fleet.claim("operator", "o") as {
    credential: string;
    privateKey: CryptoKey;
  };
  const proof = await makeProof({
    privateKey,
    nonce,
    audience: "evil.example:443",
    subject: credential,
  });
  await control.send({
    type: "auth",
    version: 1,
    agent: "t",
    instance: "12345678",
    credential,
    proof,
  });
  const info = await bounded("the close", session.closed);
  assert.match(info.reason, /evil\.example/);
});

const greetings: [string, Uint8Array][] = [
  ["garbage", new Uint8Array(64).fill(0xff)],
  ["an oversized message", new Uint8Array([0, 0, 0x40, 0])],
  ["an empty message", new Uint8Array(4)],
  ["JSON that is no message", encodeMessage({ type: "hello" })],
  ["a message that is no JSON", new Uint8Array([0, 0, 0, 2, 0x7b, 0x7b])],
  [
    "a future version",
    encodeMessage({
      type: "auth",
      version: 9,
      agent: "t",
      instance: "12345678",
      credential: "c",
      proof: "p",
    }),
  ],
];
for (const [what, message] of greetings) {
  test(`${what} instead of a greeting closes that session alone`, async () => {
    await using fleet = await startFleet();
    await fleet.device("x");
    const operator = await fleet.operator();
    const session = await fleet.connector.connect(fleet.url);
    const stream = (await session.incoming.next()).value!;
    const writer = stream.writable.getWriter();
    await writer.write(message).catch(() => {});
    const info = await bounded("the close", session.closed);
    assert.is(info.code, 4);
    const channel = await fleet.dial(operator, "x", { port: 7 });
    await channel.write(bytes("unmoved"));
    assert.is(text(await channel.read()), "unmoved");
    assert.is(fleet.relay.sessions, 2);
  });
}

const fleets: [known: number, spread: number][] = [[80, 0], [1_000, 2_500], [8_000, 20_000]];
for (const [known, spread] of fleets) {
  test(`with ${known} devices a device is told to spread its return over ${spread} ms`, async () => {
    await using fleet = await startFleet();
    const sighting = { at: 1, transport: "memory", remote: { hostname: "h", port: 1 } };
    const names = Array.from({ length: known }, (_, number) => `d-${number}`);
    await fleet.store.devicesSeen(names.map((name) => [name, sighting]));
    await fleet.relay.access.refresh();
    assert.is((await fleet.device("d-1")).spread, spread);
    assert.is((await fleet.operator()).spread, 0);
  });
}

test.run();
