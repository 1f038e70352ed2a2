import { base64url } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure, failureOf } from "../../tests/failure.ts";
import { generateAgreementKey } from "../identity/keys.ts";
import { bytes } from "../../tests/text.ts";
import { Handshake } from "../noise/handshake.ts";
import { StaticKey } from "../noise/static_key.ts";
import { Freshness } from "./freshness.ts";
import { type ChannelIdentity, initiate, respond, type Subject } from "./handshake.ts";

const test = suite("channel handshake");

const subject: Subject = {
  device: "x",
  host: "plc",
  port: 22,
  protocol: "tcp",
  epoch: "A".repeat(22),
};
const [service, device, stranger] = await Promise.all(["s", "d", "m"].map(newIdentity));

test("both ends get each other's keys, one ID and one secret", async () => {
  const { ours, theirs, response } = await shake();
  assert.is(response.credential, "s");
  assert.is(response.remoteKey, base64url.encode(service!.key.publicKey));
  assert.is(response.resume, undefined);
  assert.is(ours.id, theirs.id);
  assert.equal(ours.secret, theirs.secret);
  assert.is(ours.received, 3);
  const sealed = new Uint8Array(5 + 16);
  ours.keys.send.seal([Uint8Array.of(1, 2), Uint8Array.of(3, 4, 5)], sealed, 0);
  assert.equal([...theirs.keys.receive.open(sealed)], [1, 2, 3, 4, 5]);
  assert.is((await failure(() => ours.keys.receive.open(sealed))).code, "protocol");
});

test("every handshake has keys of its own", async () => {
  const [one, two] = [await shake(), await shake()];
  assert.is.not(one.ours.id, two.ours.id);
  assert.not.equal(one.ours.secret, two.ours.secret);
});

const alterations: [string, Partial<Subject>][] = [
  ["device", { device: "y" }],
  ["host", { host: "other" }],
  ["host, left out", { host: undefined }],
  ["port", { port: 23 }],
  ["epoch", { epoch: "B".repeat(22) }],
];
for (const [what, altered] of alterations) {
  test(`a relay that alters the ${what} gets no handshake`, async () => {
    const { hello } = await initiate(service!, keyOf(device!), subject);
    assert.is(await respond(device!, { ...subject, ...altered }, hello), undefined);
  });
}

test("a relay that puts its own key in place of the device's learns nothing and answers nothing", async () => {
  const made = await initiate(service!, keyOf(device!), subject);
  assert.is(await respond(stranger!, subject, made.hello), undefined);
  // It can make a hello of its own, whose answer is not for this service.
  const own = await initiate(stranger!, keyOf(device!), subject);
  const { hello } = await (await respond(device!, subject, own.hello))!.accept(0);
  assert.is((await failureOf(made.finish(hello))).code, "refused");
});

test("the reason is for the device alone to read", async () => {
  const reason = "ticket 4711";
  const { hello } = await initiate(service!, keyOf(device!), subject, { reason });
  assert.is((await respond(device!, subject, hello))!.reason, reason);
  const bytes = new TextDecoder("latin1").decode(base64url.decode(hello));
  assert.not.match(bytes, reason);
});

test("an altered hello or answer is never taken", async () => {
  const { hello } = await initiate(service!, keyOf(device!), subject);
  for (let at = 0; at < base64url.decode(hello).length; at += 7) {
    assert.is(await respond(device!, subject, flip(hello, at)), undefined, `byte ${at}`);
  }
  for (let at = 0; at < 60; at += 7) {
    const made = await initiate(service!, keyOf(device!), subject);
    const { hello } = await (await respond(device!, subject, made.hello))!.accept(0);
    assert.is((await failureOf(made.finish(flip(hello, at)))).code, "refused", `byte ${at}`);
  }
});

const spellings = ["", "A", "AAAAA", "====", "+/+/", "ü", "A".repeat(6_000)];
test("a message that is no base64url, or no message, is answered like one for another key", async () => {
  const made = await initiate(service!, keyOf(device!), subject);
  for (const text of spellings) assert.is(await respond(device!, subject, text), undefined, text);
  assert.is(await respond(device!, subject, `${made.hello}AA`.slice(0, -1)), undefined);
  for (const text of spellings) {
    const { finish } = await initiate(service!, keyOf(device!), subject);
    assert.match((await failureOf(finish(text))).code, /^(protocol|refused)$/, text);
  }
});

test("a payload that nobody says is refused, and not quoted", async () => {
  const proof = "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM";
  for (
    const payload of [`{"credential":"c","resume":${proof}`, `{"resume":{"proof":"${proof}"}}`]
  ) {
    const handshake = new Handshake({
      pattern: "IK",
      initiator: true,
      prologue: bytes(`tunnel channel 1\nx\n${subject.epoch}\ntcp\nplc\n22`),
      staticKey: service!.key,
      remoteStatic: device!.key.publicKey,
    });
    const message = base64url.encode(await handshake.writeMessage(bytes(payload)));
    const error = await failure(() => respond(device!, subject, message));
    assert.is(error.code, "protocol");
    const shown = Deno.inspect(error, { depth: 10 });
    assert.is(shown.includes(proof.slice(0, 6)) || shown.includes(proof.slice(-6)), false, shown);
  }
});

test("whoever attaches again proves the channel's secret", async () => {
  const { ours, theirs } = await shake();
  const resumption = { id: ours.id, secret: ours.secret, attempt: 2, received: 7 };
  const { hello } = await initiate(service!, keyOf(device!), subject, {}, resumption);
  const response = (await respond(device!, subject, hello))!;
  assert.equal([response.resume!.id, response.resume!.attempt], [theirs.id, 2]);
  assert.is(await response.proves(theirs.secret), true);
  assert.is(await response.proves(crypto.getRandomValues(new Uint8Array(32))), false);
  assert.is((await response.accept(1)).established.received, 7);
  const guess = { ...resumption, secret: new Uint8Array(32) };
  const forged = await initiate(service!, keyOf(device!), subject, {}, guess);
  assert.is(await (await respond(device!, subject, forged.hello))!.proves(theirs.secret), false);
});

test("a hello counts once, and a full epoch gives way to the next", async () => {
  const freshness = new Freshness(2);
  const { epoch } = freshness;
  const hellos = await Promise.all([1, 2].map(() => initiate(service!, keyOf(device!), subject)));
  assert.is(freshness.admit(hellos[0]!.hello, epoch), true);
  assert.is((await failure(() => freshness.admit(hellos[0]!.hello, epoch))).code, "refused");
  assert.is(freshness.epoch, epoch);
  assert.is(freshness.admit(hellos[1]!.hello, epoch), true);
  assert.is.not(freshness.epoch, epoch);
  // One that was verified before the change, perhaps a copy, does not count for the new epoch.
  for (const { hello } of hellos) assert.is(freshness.admit(hello, epoch), false);
});

test.run();

async function shake() {
  const made = await initiate(service!, keyOf(device!), subject);
  const response = (await respond(device!, subject, made.hello))!;
  const { hello, established: theirs } = await response.accept(3);
  return { ours: await made.finish(hello), theirs, response };
}

async function newIdentity(credential: string): Promise<ChannelIdentity> {
  return { credential, key: await StaticKey.import(await generateAgreementKey()) };
}

function keyOf({ key }: ChannelIdentity): string {
  return base64url.encode(key.publicKey);
}

function flip(text: string, at: number): string {
  const bytes = base64url.decode(text);
  bytes[at]! ^= 1;
  return base64url.encode(bytes);
}
