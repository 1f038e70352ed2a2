/** The examples of docs/PROTOCOL.md are what this code sends: every hex dump and token is compared. */

import { base64url } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type * as v from "valibot";
import { concat } from "../core/bytes.ts";
import { Channel } from "../core/channel/channel.ts";
import { Path } from "../core/channel/path.ts";
import { dataHeader, encodeAck, encodeDone, encodeFin } from "../core/channel/record.ts";
import { Answer, Challenge, Dial, Offer, SignedIn, SignIn } from "../core/control.ts";
import { readHashes } from "../core/identity/certificate_hashes.ts";
import { Verifier } from "../core/identity/credential.ts";
import { dialDigest, dialId, helloDigest, makeDecision } from "../core/identity/decision.ts";
import { importPrivateKey, parsePublicJwk, thumbprint } from "../core/identity/keys.ts";
import { makeProof, verifyProof } from "../core/identity/proof.ts";
import { keysFingerprint, makeRequest, readRequest } from "../core/identity/request.ts";
import { decodeSigned, encodeSigned } from "../core/identity/signed.ts";
import { decodeMessage, encodeMessage, MAX_GREETING } from "../core/message.ts";
import { derToPem } from "../core/identity/pem.ts";
import { BlockReader } from "../core/block_reader.ts";
import { ByteWriter } from "../core/byte_writer.ts";
import { derive } from "../core/channel/tickets.ts";
import { Handshake, type Transport } from "../core/noise/handshake.ts";
import { StaticKey } from "../core/noise/static_key.ts";
import type { Stream } from "../core/transport.ts";
import { encodeFrame, Opcode } from "../transports/websocket/frame.ts";
import { acceptFor, answerRequest, upgradeRequest } from "../transports/websocket/handshake.ts";
import { parseRequest } from "../transports/websocket/http.ts";
import { CapsuleReader, encodeClose } from "../transports/webtransport/capsule.ts";
import * as http3 from "../transports/webtransport/frame.ts";
import { decodeFields, encodeFields } from "../transports/webtransport/qpack.ts";
import { DRAFT_RESPONSE, judge, sessionRequest } from "../transports/webtransport/request.ts";
import { encodeSettings, ownSettings } from "../transports/webtransport/settings.ts";
import { encodeVarint } from "../transports/webtransport/varint.ts";
import { Batch } from "../core/mux/batch.ts";
import { Flag, FrameType } from "../core/mux/frame.ts";
import { bounded } from "./bounded.ts";
import { streamPair } from "./paths.ts";

const test = suite("docs/PROTOCOL.md");

interface Example {
  /** The lines in front of the dump. */
  readonly text: string;
  readonly hex: string;
}

const examples = readExamples(
  await Deno.readTextFile(new URL("../docs/PROTOCOL.md", import.meta.url)),
);

const messages: [string, v.GenericSchema][] = [
  ["challenge", Challenge],
  ["auth", SignIn],
  ["welcome", SignedIn],
  ["dial", Dial],
  ["offer", Offer],
  ["accepted", Answer],
];
for (const [name, schema] of messages) {
  test(`the ${name} is a message of its schema, as it is encoded`, () => {
    const { text, hex } = example(name);
    const message = encodeMessage(JSON.parse(text));
    assert.is(hex, toHex(message));
    assert.equal(decodeMessage(message.subarray(4), schema, "read"), JSON.parse(text));
    assert.ok(message.length - 4 <= MAX_GREETING);
  });
}

test("the handshake is what these keys and this prologue make of it", async () => {
  const { service, device, messages } = await shake();
  for (const [name, [payload, message]] of Object.entries(messages)) {
    assert.is(example(name).text, payload);
    assert.is(example(name).hex, toHex(message));
  }
  const [first, second] = Object.values(messages).map(([, message]) => base64url.encode(message));
  for (const name of ["dial", "offer"]) assert.is(JSON.parse(example(name).text).hello, first);
  assert.is(JSON.parse(example("accepted").text).hello, second);
  const { id, exported, secret, ticket, key } = fields("channel");
  assert.is(id, base64url.encode(service.handshakeHash.subarray(0, 16)));
  for (const end of [service, device]) {
    const bytes = end.split().exported;
    const derived = derive(bytes);
    assert.is(toHex(bytes), exported);
    assert.is(toHex(derived.secret), secret);
    assert.equal([derived.ticket.id, toHex(derived.ticket.key)], [ticket, key]);
  }
});

const RECORDS: [name: string, by: "service" | "device", record: Uint8Array][] = [
  ["ack that announces the service", "service", encodeAck(0, 262_144)],
  ["data", "service", concat([dataHeader(0, false), new TextEncoder().encode("hello")])],
  ["fin of the service", "service", encodeFin(5)],
  ["ack of the device", "device", encodeAck(6, 262_144)],
  ["fin of the device", "device", encodeFin(0)],
  ["ack of the service", "service", encodeAck(1, 262_144)],
  ["done", "service", encodeDone()],
];

test("the records, plain and as they are sealed one after the other", async () => {
  const ends = await shake();
  const keys = { service: ends.service.split(), device: ends.device.split() };
  for (const [name, by, record] of RECORDS) {
    assert.is(example(name).hex, toHex(record), name);
    const sealed = new Uint8Array(4 + record.length + 16);
    new DataView(sealed.buffer).setUint32(0, record.length + 16);
    keys[by].send.seal(new Uint8Array(0), [record], sealed, 4);
    assert.is(example(`${name}, sealed`).hex, toHex(sealed), name);
  }
});

test("two channels that say hello and end say just these records", async () => {
  const { service, device } = await bounded("the exchange", exchange());
  const said = (by: string) => RECORDS.filter((r) => r[1] === by).map(([, , r]) => toHex(r));
  assert.equal(service, said("service"));
  // The device's own DONE is not shown: nothing new is in it.
  assert.equal(device, [...said("device"), toHex(encodeDone())]);
});

test("the multiplexer's frames", () => {
  const settings = { streams: 256, window: 262_144, idleTimeout: 8_000, restTimeout: 8_000 };
  assert.is(
    example("settings and ping").hex,
    frames((b) => (b.settings(settings), b.control(FrameType.ping, 0, 1))),
  );
  const challenge = encodeMessage(JSON.parse(example("challenge").text));
  const opened = frames((batch) => batch.data(2, Flag.open, challenge));
  assert.is(example("header of the first data").hex, opened.slice(0, 16));
  assert.is(example("close").hex, frames((b) => b.close(2, "the relay is shutting down")));
});

test("the masked WebSocket frame around the client's first frames", () => {
  const { text, hex } = example("websocket");
  const key = Uint8Array.fromHex(text.match(/[0-9a-f]{8}/)![0]);
  const payload = Uint8Array.fromHex(example("settings and ping").hex);
  assert.is(hex, toHex(encodeFrame(Opcode.binary, payload, key)));
});

test("the upgrade, request and response", async () => {
  const request = http("upgrade request");
  const key = request.match(/Sec-WebSocket-Key: (.*)\r/)![1]!;
  assert.is(request, upgradeRequest("relay.example.com:4433", key));
  assert.is(http("upgrade response"), await answerRequest(parseRequest(request)));
  assert.match(http("upgrade response"), await acceptFor(key));
});

test("the credential verifies, and the proof is the one its key makes", async () => {
  const given = Object.fromEntries(
    example("proof").text.split("\n").map((line) => line.split(/ = /) as [string, string]),
  ) as Record<
    "authority" | "holder" | "nonce" | "audience" | "iat" | "credential" | "proof",
    string
  >;
  const authority = JSON.parse(given.authority);
  const now = Number(given.iat) * 1_000;
  const member = await new Verifier(authority).verify(given.credential, { now });
  assert.equal([member.role, member.name], ["operator", "night"]);
  const claims = JSON.parse(
    new TextDecoder().decode(base64url.decode(given.credential.split(".")[1]!)),
  );
  assert.is(claims.iss, await thumbprint(authority));
  const privateKey = await importPrivateKey(JSON.parse(given.holder));
  const { nonce, audience, credential: subject } = given;
  assert.is(given.proof, await makeProof({ privateKey, nonce, audience, subject, now }));
  await verifyProof(given.proof, {
    ...{ key: member.key, nonce, subject },
    audience: (host) => host === audience,
  });
});

test("the decision is the one its key makes, about the dial with the example's hello", async () => {
  const given = fields("decision");
  const dial = JSON.parse(given.dial!);
  assert.is(dial.hello, await helloDigest(JSON.parse(example("dial").text).hello));
  assert.equal([given.digest, given.id], [await dialDigest(dial), await dialId(dial)]);
  const privateKey = await importPrivateKey(JSON.parse(given.holder!));
  const [credential, now] = [given.credential!, Number(given.iat) * 1_000];
  const decision = await makeDecision({ privateKey, credential, dial, accept: true, now });
  assert.is(given.decision, decision);
});

test("the request is the one that its key makes, and is read as such", async () => {
  const given = fields("request");
  const jwk = JSON.parse(given["private key"]!);
  const agreement = JSON.parse(given.agreement!);
  const key = parsePublicJwk(jwk);
  const now = Number(given.iat) * 1_000;
  const who = { role: "operator", name: "night", key, agreement } as const;
  const privateKey = await importPrivateKey(jwk);
  assert.is(given.subject, "operator:night");
  assert.is(given.request, await makeRequest({ ...who, privateKey, now }));
  assert.equal(await readRequest(given.request!, now), { ...who, issuedAt: now });
  assert.is(given.fingerprint, await keysFingerprint(key, agreement));
});

test("the signed string is what its parts make, and is read as such", () => {
  const { credential, authority: x, relay, signed } = fields("signed string");
  const authority = { kty: "OKP", crv: "Ed25519", x: x! } as const;
  const parts = { credential: credential!, authority, relay };
  assert.is(signed, encodeSigned(parts));
  assert.equal(decodeSigned(signed!), { ...parts, root: undefined });
});

test("the frames of WebTransport", () => {
  const { FrameType, StreamType, encodeFrame } = http3;
  const settings = encodeFrame(FrameType.settings, encodeSettings(ownSettings()));
  const control = concat([encodeVarint(StreamType.control), settings]);
  assert.is(example("control stream").hex, toHex(control));
  const request = sessionRequest("relay.example.com:4433");
  const answer = [[":status", "200"], DRAFT_RESPONSE] as const;
  for (
    const [name, fields] of [["request for a session", request], [
      "response to it",
      answer,
    ]] as const
  ) {
    const section = encodeFields(fields);
    assert.is(example(name).hex, toHex(encodeFrame(FrameType.headers, section)));
    assert.equal(decodeFields(section), fields);
  }
  assert.equal(judge(request, { allowsOrigin: () => false }), { status: 200, isSession: true });
  const beginning = concat([encodeVarint(FrameType.webTransport), encodeVarint(0)]);
  assert.is(example("beginning of a stream").hex, toHex(beginning));
  const info = { code: 2, reason: "the relay is shutting down" };
  const capsule = encodeClose(info);
  assert.is(example("close of a session").hex, toHex(encodeFrame(FrameType.data, capsule)));
  assert.equal(new CapsuleReader().take(capsule), info);
});

test("the hashes of certificates are read with the root", async () => {
  const { root, hash, iat, statement } = fields("certificate hashes");
  const pem = derToPem(base64url.decode(root!));
  assert.equal(await readHashes(statement!, [pem]), [base64url.decode(hash!)]);
  const claims = JSON.parse(new TextDecoder().decode(base64url.decode(statement!.split(".")[1]!)));
  assert.equal(claims, { hashes: [hash], iat: Number(iat) });
});

/** The example's handshake, run anew. */
async function shake() {
  const keys = fields("keys");
  const key = (name: string) => Uint8Array.fromHex(keys[name]!);
  const [near, far] = await Promise.all(
    ["service static", "device static"].map((name) => StaticKey.import(key(name))),
  );
  const prologue = Uint8Array.fromHex(example("prologue").hex);
  const service = new Handshake({
    ...{ pattern: "IK", initiator: true, prologue, staticKey: near },
    remoteStatic: far!.publicKey,
    ephemeral: key("service ephemeral"),
  });
  const device = new Handshake({
    ...{ pattern: "IK", initiator: false, prologue, staticKey: far },
    ephemeral: key("device ephemeral"),
  });
  const messages: Record<string, [payload: string, message: Uint8Array]> = {};
  let ends = [service, device];
  for (const name of ["first message", "second message"]) {
    const payload = example(name).text;
    const [writer, reader] = ends;
    const message = await writer!.writeMessage(new TextEncoder().encode(payload));
    assert.is(new TextDecoder().decode(await reader!.readMessage(message)), payload);
    messages[name] = [payload, message];
    ends = ends.reverse();
  }
  return { service, device, messages };
}

/** What each end of a channel says, plain, when the service says hello and the device nothing. */
async function exchange(): Promise<{ service: string[]; device: string[] }> {
  const { near, far } = await streamPair();
  const ends = await shake();
  const [service, serviceSaid] = speaker(near, ends.service.split(), true);
  const [device, deviceSaid] = speaker(far, ends.device.split(), false);
  await service.write(new TextEncoder().encode("hello"));
  await service.closeWrite();
  while (await device.read() !== null);
  await device.closeWrite();
  while (await service.read() !== null);
  await Promise.all([service.released, device.released]);
  return { service: serviceSaid, device: deviceSaid };
}

/** A channel over a stream, and the records that it sends. */
function speaker(stream: Stream, keys: Transport, announce: boolean): [Channel, string[]] {
  const said: string[] = [];
  const none = new Uint8Array(0);
  const path = new Path({
    reader: new BlockReader(stream),
    writer: new ByteWriter(stream),
    keys: {
      send: {
        seal(parts, target, offset) {
          said.push(toHex(concat(parts)));
          keys.send.seal(none, parts, target, offset);
        },
      },
      receive: { open: (sealed) => keys.receive.open(none, sealed) },
    },
  });
  const channel = new Channel({ announce });
  channel.attach(path, 0);
  return [channel, said];
}

/** The lines `name = value` of an example. */
function fields(name: string): Record<string, string> {
  return Object.fromEntries(example(name).text.split("\n").map((line) => line.split(" = ")));
}

function frames(fill: (batch: Batch) => void): string {
  const batch = new Batch(0);
  fill(batch);
  return toHex(batch.message);
}

function http(name: string): string {
  return `${example(name).text.replaceAll("\n", "\r\n")}\r\n\r\n`;
}

function example(name: string): Example {
  const found = examples.get(name);
  assert.ok(found, `there is no example ${JSON.stringify(name)}`);
  return found!;
}

/** Fenced blocks that are marked `example NAME`: text, then lines of offset, hex and characters. */
function readExamples(document: string): Map<string, Example> {
  const blocks = document.matchAll(/^```example (.+)\n([\s\S]*?)\n```$/gm);
  return new Map([...blocks].map(([, name, body]) => {
    const lines = body!.split("\n");
    const isDump = (line: string) => /^[0-9a-f]{4} {2}/.test(line);
    const hex = lines.filter(isDump).map((line) => line.slice(6, 53).replaceAll(" ", "")).join("");
    return [name!, { text: lines.filter((line) => !isDump(line)).join("\n").trimEnd(), hex }];
  }));
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

test.run();
