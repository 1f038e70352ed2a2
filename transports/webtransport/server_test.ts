/** What a relay makes of clients that break HTTP/3's rules, and of those that bend them. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { concat } from "../../core/bytes.ts";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { FakeQuic, type FakeStream } from "../../tests/fuzz/fake_quic.ts";
import { turn } from "../../tests/fuzz/turns.ts";
import { readAll } from "../../tests/streams.ts";
import { bytes, text } from "../../tests/text.ts";
import { CapsuleType, encodeCapsule, encodeClose } from "./capsule.ts";
import { Http3Code } from "./errors.ts";
import { encodeFrame, FrameReader, FrameType, StreamType } from "./frame.ts";
import { readHeaders } from "./headers.ts";
import { encodeFields, type Field } from "./qpack.ts";
import { sessionRequest } from "./request.ts";
import { acceptSession } from "./server.ts";
import type { WebTransportSession } from "./session.ts";
import { encodeSettings, ownSettings } from "./settings.ts";
import { encodeVarint } from "./varint.ts";

const test = suite("webtransport: server");

const SETTINGS = encodeFrame(FrameType.settings, encodeSettings(ownSettings()));
const CONNECT = headers(sessionRequest("relay.example"));
const NOTHING = new Uint8Array(0);

/** A client that says its settings, and asks for nothing yet. */
class Client {
  readonly conn = new FakeQuic(true);
  readonly control: FakeStream;
  readonly stop = new AbortController();
  readonly accepting: Promise<WebTransportSession>;

  constructor({ settings = SETTINGS } = {}) {
    const allowsOrigin = (origin: string) => origin === "https://page.example";
    this.accepting = acceptSession(this.conn, { allowsOrigin, signal: this.stop.signal });
    this.accepting.catch(() => {}); // Looked at by some.
    this.control = this.unidirectional(StreamType.control, settings);
  }

  unidirectional(type: bigint, payload: Uint8Array): FakeStream {
    const stream = this.conn.openUnidirectional();
    stream.say(concat([encodeVarint(type), payload]));
    return stream;
  }

  bidirectional(...parts: Uint8Array[]): FakeStream {
    const stream = this.conn.open();
    stream.say(concat(parts));
    return stream;
  }

  async session(): Promise<{ session: WebTransportSession; connect: FakeStream }> {
    const connect = this.bidirectional(CONNECT);
    return { session: await bounded("a session", this.accepting), connect };
  }
}

const violations: [string, number, (client: Client) => unknown][] = [
  ["SETTINGS twice", Http3Code.frameUnexpected, ({ control }) => control.say(SETTINGS)],
  ["DATA on the control stream", Http3Code.frameUnexpected, ({ control }) => {
    control.say(encodeFrame(FrameType.data, NOTHING));
  }],
  ["a frame of HTTP/2", Http3Code.frameUnexpected, ({ control }) => {
    control.say(encodeFrame(0x06n, new Uint8Array(8)));
  }],
  ["the control stream ends", Http3Code.closedCriticalStream, ({ control }) => control.end()],
  ["the control stream is reset", Http3Code.closedCriticalStream, async ({ control }) => {
    // A stream that is reset before its type was read is any stream.
    for (let i = 0; i < 50; i++) await turn();
    control.reset();
  }],
  ["a second control stream", Http3Code.streamCreationError, (client) => {
    client.unidirectional(StreamType.control, SETTINGS);
  }],
  ["a push stream", Http3Code.streamCreationError, (client) => {
    client.unidirectional(StreamType.push, encodeVarint(0));
  }],
  ["GOAWAY that takes back", Http3Code.idError, ({ control }) => {
    for (const id of [4, 8]) control.say(encodeFrame(FrameType.goaway, encodeVarint(id)));
  }],
  ["MAX_PUSH_ID that takes back", Http3Code.idError, ({ control }) => {
    for (const id of [4, 3]) control.say(encodeFrame(FrameType.maxPushId, encodeVarint(id)));
  }],
  ["CANCEL_PUSH of nothing", Http3Code.idError, ({ control }) => {
    control.say(encodeFrame(FrameType.cancelPush, encodeVarint(0)));
  }],
  ["GOAWAY of no number", Http3Code.frameError, ({ control }) => {
    control.say(encodeFrame(FrameType.goaway, new Uint8Array(2)));
  }],
  ["an insertion into the dynamic table", Http3Code.qpackEncoderStreamError, (client) => {
    client.unidirectional(StreamType.qpackEncoder, Uint8Array.of(0xc0, 0x01, 0x61));
  }],
  ["an acknowledgement of no insertion", Http3Code.qpackDecoderStreamError, (client) => {
    client.unidirectional(StreamType.qpackDecoder, Uint8Array.of(0x01));
  }],
  ["a QPACK stream that ends", Http3Code.closedCriticalStream, (client) => {
    client.unidirectional(StreamType.qpackEncoder, NOTHING).end();
  }],
  ["DATA before HEADERS", Http3Code.frameUnexpected, (client) => {
    client.bidirectional(encodeFrame(FrameType.data, NOTHING));
  }],
  ["a request without HEADERS", Http3Code.frameError, (client) => {
    client.bidirectional(encodeFrame(0x21n, NOTHING)).end();
  }],
  ["a frame that is cut off", Http3Code.frameError, (client) => {
    client.bidirectional(CONNECT.subarray(0, 9)).end();
  }],
  ["HEADERS that are too long", Http3Code.excessiveLoad, (client) => {
    client.bidirectional(encodeVarint(FrameType.headers), encodeVarint(20_000));
  }],
  ["fields that need the dynamic table", Http3Code.qpackDecompressionFailed, (client) => {
    client.bidirectional(encodeFrame(FrameType.headers, Uint8Array.of(2, 0, 0x80)));
  }],
  ["a stream of what is no session", Http3Code.idError, (client) => {
    client.bidirectional(encodeVarint(FrameType.webTransport), encodeVarint(2));
  }],
  ["a unidirectional stream of what is no session", Http3Code.idError, (client) => {
    client.unidirectional(StreamType.webTransport, encodeVarint(1));
  }],
  ["WebTransport's type within a request", Http3Code.frameError, (client) => {
    client.bidirectional(encodeFrame(0x21n, NOTHING), encodeFrame(FrameType.webTransport, NOTHING));
  }],
  ["a datagram of nothing", Http3Code.datagramError, ({ conn }) => conn.sayDatagram(NOTHING)],
  ["a datagram of no stream", Http3Code.datagramError, ({ conn }) => {
    conn.sayDatagram(encodeVarint(2n ** 60n));
  }],
  ["too many requests", Http3Code.excessiveLoad, (client) => {
    for (let i = 0; i < 33; i++) client.bidirectional(headers(get("/")));
  }],
  ["HEADERS behind the request", Http3Code.frameUnexpected, async (client) => {
    (await client.session()).connect.say(CONNECT);
  }],
  ["a malformed close", Http3Code.messageError, async (client) => {
    (await client.session()).connect.say(data(encodeCapsule(CapsuleType.close, new Uint8Array(3))));
  }],
  ["a close that is no text", Http3Code.messageError, async (client) => {
    const value = Uint8Array.of(0, 0, 0, 1, 0xff);
    (await client.session()).connect.say(data(encodeCapsule(CapsuleType.close, value)));
  }],
  ["more behind a close", Http3Code.messageError, async (client) => {
    const { connect } = await client.session();
    connect.say(data(encodeClose({ code: 0, reason: "" })));
    connect.say(data(Uint8Array.of(1)));
  }],
  ["a capsule that is cut off", Http3Code.messageError, async (client) => {
    const { connect } = await client.session();
    connect.say(data(encodeVarint(0x2843)));
    connect.end();
  }],
];

for (const [name, code, break_] of violations) {
  test(`${name} ends the connection with 0x${code.toString(16)}`, async () => {
    const client = new Client();
    await break_(client);
    await bounded("the end", client.conn.closed);
    assert.is(client.conn.closing!.closeCode, code, client.conn.closing!.reason);
    const session = await client.accepting.catch(() => undefined);
    if (session) await session.closed.catch(() => {}); // A close may have come before.
  });
}

const settings: [string, number, Uint8Array][] = [
  ["one that comes twice", Http3Code.settingsError, Uint8Array.of(6, 1, 6, 1)],
  ["one of HTTP/2", Http3Code.settingsError, Uint8Array.of(3, 1)],
  ["a switch that is neither on nor off", Http3Code.settingsError, Uint8Array.of(0x33, 2)],
  ["one without a value", Http3Code.frameError, Uint8Array.of(6)],
];
for (const [name, code, payload] of settings) {
  test(`settings: ${name} ends the connection with 0x${code.toString(16)}`, async () => {
    const client = new Client({ settings: encodeFrame(FrameType.settings, payload) });
    await bounded("the end", client.conn.closed);
    assert.is(client.conn.closing!.closeCode, code);
    assert.is((await failureOf(client.accepting)).code, "protocol");
  });
}

test("a control stream that starts with anything else ends the connection", async () => {
  const client = new Client({ settings: encodeFrame(0x21n, NOTHING) });
  await bounded("the end", client.conn.closed);
  assert.is(client.conn.closing!.closeCode, Http3Code.missingSettings);
});

test("what is unknown is passed over: frames, streams, settings, capsules", async () => {
  const grease = new Map([...ownSettings(), [0x21n + 0x1fn * 2n ** 40n, 7n]]);
  const client = new Client({ settings: encodeFrame(FrameType.settings, encodeSettings(grease)) });
  client.control.say(encodeFrame(0x21n, bytes("whatever")));
  const unknown = client.unidirectional(0x21n, bytes("whatever"));
  client.unidirectional(StreamType.qpackEncoder, Uint8Array.of(0x20));
  client.unidirectional(StreamType.qpackDecoder, Uint8Array.of(0x44, 0x7f, 0x81, 0x01));
  const connect = client.bidirectional(encodeFrame(0x21n, bytes("whatever")), CONNECT);
  const session = await bounded("a session", client.accepting);
  connect.say(encodeFrame(0x40n, bytes("whatever")));
  connect.say(data(encodeCapsule(0x29n, new Uint8Array(100_000))));
  connect.say(data(encodeCapsule(CapsuleType.drain, NOTHING)));
  connect.say(data(encodeClose({ code: 9, reason: "done" })));
  assert.equal({ ...await bounded("the end", session.closed) }, { code: 9, reason: "done" });
  assert.ok(unknown.stopped);
  assert.is(client.conn.closing, undefined);
  client.conn.leave({ closeCode: Http3Code.noError, reason: "" });
});

const requests: [string, Field[], string][] = [
  ["a page", get("/"), "404"],
  ["another path", connectTo([":path", "/other"]), "404"],
  ["a path with a query", connectTo([":path", "/tunnel?x=1"]), "200"],
  ["a page that is allowed", [...connectTo(), ["origin", "https://page.example"]], "200"],
  ["a page that is not", [...connectTo(), ["origin", "https://evil.example"]], "403"],
  ["a page without an origin of its own", [...connectTo(), ["origin", "null"]], "403"],
  ["two origins", [
    ...connectTo(),
    ["origin", "https://page.example"],
    ["origin", "https://evil.example"],
  ], "400"],
  ["the protocol's newer name", connectTo([":protocol", "webtransport-h3"]), "200"],
  ["another protocol", connectTo([":protocol", "websocket"]), "501"],
  ["a CONNECT as of old", [[":method", "CONNECT"], [":authority", "x:1"]], "501"],
  ["an upper-case name", [...connectTo(), ["Origin", "https://page.example"]], "400"],
  ["a pseudo-field behind others", [...get("/"), ["a", "b"], [":path", "/"]], "400"],
  ["an unknown pseudo-field", [[":fancy", "1"], ...get("/")], "400"],
  ["no path", get("/").slice(0, 3), "400"],
  ["a line end in a value", [...connectTo(), ["a", "b\r\nc: d"]], "400"],
];
for (const [name, fields, status] of requests) {
  test(`a request for ${name} is answered with ${status}`, async () => {
    const client = new Client();
    const stream = client.bidirectional(headers(fields));
    const answer = await answerOn(stream);
    assert.is(answer.get(":status"), status);
    const isDraft02 = fields.some(([name]) => name === "sec-webtransport-http3-draft02");
    const draft = answer.get("sec-webtransport-http3-draft");
    assert.is(draft, status === "200" && isDraft02 ? "draft02" : undefined);
    client.conn.leave({ closeCode: 0, reason: "" });
    const outcome = await client.accepting.then(() => "a session", ({ message }) => message);
    const isForSession = fields.some(([name, value]) =>
      name === ":protocol" && value !== "websocket"
    );
    if (status === "200") assert.is(outcome, "a session");
    else if (isForSession && status !== "400") assert.match(outcome, `answered with ${status}`);
    else assert.match(outcome, "has left");
  });
}

test("a session waits for the client's settings", async () => {
  const client = new Client({ settings: NOTHING });
  const connect = client.bidirectional(CONNECT);
  for (let i = 0; i < 50; i++) await turn();
  assert.is(connect.heard.length, 0);
  client.control.say(SETTINGS);
  await bounded("a session", client.accepting);
  client.conn.lose();
});

test("a connection carries one session", async () => {
  const client = new Client();
  await client.session();
  const second = client.bidirectional(CONNECT);
  assert.is((await answerOn(second)).get(":status"), "429");
  client.conn.lose();
});

test("streams that come before their session are held, a few of them", async () => {
  const client = new Client();
  const early = (id: number, word: string) => {
    const stream = client.bidirectional(encodeVarint(FrameType.webTransport), encodeVarint(id));
    stream.say(bytes(word));
    stream.end();
    return stream;
  };
  // The first stream is the session's request, whatever comes first.
  const connect = client.conn.open();
  const held = [
    early(0, "one"),
    early(0, "two"),
    early(4, "of another session"),
    early(0, "three"),
  ];
  const refused = early(0, "four");
  for (let i = 0; i < 50; i++) await turn();
  assert.ok(refused.stopped && held.every(({ stopped }) => !stopped));
  connect.say(CONNECT);
  const session = await bounded("a session", client.accepting);
  const words: string[] = [];
  for await (const stream of session.incoming) {
    words.push(text(await readAll(stream)));
    if (words.length === 3) break;
  }
  assert.equal(words, ["one", "two", "three"]);
  assert.ok(held[2]!.stopped);
  client.conn.lose();
});

test("datagrams that nobody reads are dropped", async () => {
  const client = new Client();
  const { session } = await client.session();
  for (let i = 0; i < 100; i++) client.conn.sayDatagram(Uint8Array.of(0, i));
  client.conn.sayDatagram(Uint8Array.of(1, 200));
  for (let i = 0; i < 200; i++) await turn();
  session.close();
  client.conn.leave({ closeCode: Http3Code.noError, reason: "" });
  const read: number[] = [];
  for await (const datagram of session.datagrams.readable) read.push(datagram[0]!);
  assert.equal(read, Array.from({ length: 16 }, (_, i) => i));
});

test("a close is said, and the connection ends once the client has heard it", async () => {
  const client = new Client();
  const { session, connect } = await client.session();
  session.close({ code: 2, reason: "the relay is shutting down" });
  const said = data(encodeClose({ code: 2, reason: "the relay is shutting down" }));
  while (!connect.ended) await turn();
  assert.equal(connect.heard.slice(-said.length), said);
  assert.is(client.conn.closing, undefined);
  const goaway = encodeFrame(FrameType.goaway, encodeVarint(4));
  assert.equal(client.conn.openedUnidirectional[0]!.heard.slice(-goaway.length), goaway);
  connect.end();
  assert.is((await bounded("the end", session.closed)).code, 2);
  assert.is(client.conn.closing!.closeCode, Http3Code.noError);
});

test("a client that does not answer a close is waited for no longer than a moment", async () => {
  const client = new Client();
  const { session } = await client.session();
  session.close({ code: 4, reason: "enough" });
  const late = client.bidirectional(encodeVarint(FrameType.webTransport), encodeVarint(0));
  late.say(bytes("more"));
  assert.is((await bounded("the end", session.closed)).code, 4);
  assert.is(client.conn.closing!.closeCode, Http3Code.noError);
  assert.ok(late.stopped);
});

test("a wait that is given up ends the connection", async () => {
  const client = new Client();
  client.stop.abort(new Error("enough"));
  assert.is(await client.accepting.catch(({ message }) => message), "enough");
  assert.is(client.conn.closing!.closeCode, Http3Code.noError);
});

test.run();

function get(path: string): Field[] {
  return [[":method", "GET"], [":scheme", "https"], [":authority", "relay.example"], [
    ":path",
    path,
  ]];
}

/** A request for a session, some fields of it replaced. */
function connectTo(...others: Field[]): Field[] {
  return sessionRequest("relay.example")
    .map((field) => others.find(([name]) => name === field[0]) ?? field);
}

function headers(fields: readonly Field[]): Uint8Array {
  return encodeFrame(FrameType.headers, encodeFields(fields));
}

function data(payload: Uint8Array): Uint8Array {
  return encodeFrame(FrameType.data, payload);
}

async function answerOn(stream: FakeStream): Promise<Map<string, string>> {
  for (let i = 0; i < 1_000 && stream.heard.length === 0; i++) await turn();
  const frames = new FrameReader(ReadableStream.from([stream.heard]));
  return new Map(await readHeaders(frames));
}
