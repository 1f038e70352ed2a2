/** The examples of docs/PROTOCOL.md are what this code sends: every hex dump and token is compared. */

import { base64url } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type * as v from "valibot";
import { ByteReader, concat } from "../core/bytes.ts";
import { Channel } from "../core/channel/channel.ts";
import { RecordParser } from "../core/channel/record.ts";
import { Answer, Challenge, Dial, Offer, SignedIn, SignIn } from "../core/control.ts";
import { Verifier } from "../core/identity/credential.ts";
import { importPrivateKey, thumbprint } from "../core/identity/keys.ts";
import { makeProof, verifyProof } from "../core/identity/proof.ts";
import { decodeMessage, encodeMessage, MAX_GREETING } from "../core/message.ts";
import type { Stream } from "../core/transport.ts";
import { memoryPair } from "../transports/memory.ts";
import { encodeFrame, Opcode } from "../transports/websocket/frame.ts";
import { acceptFor, answerRequest, upgradeRequest } from "../transports/websocket/handshake.ts";
import { parseRequest } from "../transports/websocket/http.ts";
import { Batch } from "../transports/websocket/mux/batch.ts";
import { Flag, FrameType } from "../transports/websocket/mux/frame.ts";
import { bounded } from "./conformance.ts";

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

test("the records are those of two channels that say hello and end", async () => {
  const { service, device } = await bounded("the exchange", exchange());
  const expected = ["data", "fin of the service", "ack of the device", "fin of the device"]
    .concat("ack of the service");
  assert.equal(
    expected.map((name) => example(name).hex),
    [service[0], service[1], device[0], device[1], service[2]],
  );
  assert.is(service.length + device.length, expected.length);
});

test("the multiplexer's frames", () => {
  const settings = { streams: 256, window: 262_144, idleTimeout: 8_000 };
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

/** What each end of a channel sends when the service says hello and the device says nothing. */
async function exchange(): Promise<{ service: string[]; device: string[] }> {
  const [a, b] = memoryPair();
  const near = await a.openStream();
  const far = await b.incoming.getReader().read();
  const [service, serviceSent] = recorded(near);
  const [device, deviceSent] = recorded(far.value!);
  await service.write(new TextEncoder().encode("hello"));
  await service.closeWrite();
  while (await device.read() !== null);
  await device.closeWrite();
  while (await service.read() !== null);
  await Promise.all([service.closed, device.closed]);
  return { service: records(serviceSent), device: records(deviceSent) };
}

/** A channel over the stream, and what it writes. */
function recorded({ readable, writable }: Stream): [Channel, Uint8Array[]] {
  const writer = writable.getWriter();
  const written: Uint8Array[] = [];
  const tap = new WritableStream<Uint8Array>({
    write(chunk) {
      written.push(chunk.slice());
      return writer.write(chunk);
    },
    close: () => writer.close(),
  });
  return [new Channel(new ByteReader(readable), tap), written];
}

/** Cuts what was written into records, however it was written. */
function records(written: Uint8Array[]): string[] {
  const bytes = concat(written);
  let at = 0;
  return [...new RecordParser().push(bytes)].map(({ payload }) => {
    const end = at + 4 + payload.length;
    const record = toHex(bytes.subarray(at, end));
    at = end;
    return record;
  });
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
