/** The encodings of HTTP/3, QPACK and capsules, against the examples of their RFCs. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../tests/text.ts";
import { CapsuleReader, CapsuleType, encodeCapsule, encodeClose } from "./capsule.ts";
import { Http3Code, Http3Error } from "./errors.ts";
import { encodeFrame, FrameReader, FrameType } from "./frame.ts";
import { decodeHuffman, HUFFMAN_LENGTHS } from "./huffman.ts";
import { PrefixReader } from "./prefix.ts";
import { decodeFields, encodeFields, MAX_SECTION } from "./qpack.ts";
import { decodeSettings, encodeSettings, offersWebTransport, ownSettings } from "./settings.ts";
import { STATIC_TABLE } from "./static_table.ts";
import { decodeVarint, encodeVarint } from "./varint.ts";

const test = suite("webtransport: encodings");

// RFC 9000, appendix A.1.
const varints: [string, bigint][] = [
  ["c2197c5eff14e88c", 151_288_809_941_952_652n],
  ["9d7f3e7d", 494_878_333n],
  ["7bbd", 15_293n],
  ["25", 37n],
];
for (const [hex, value] of varints) {
  test(`the number ${value} is ${hex}`, () => {
    assert.equal(decodeVarint(fromHex(hex)), { value, end: hex.length / 2 });
    assert.equal(encodeVarint(value), fromHex(hex));
    assert.is(decodeVarint(fromHex(hex).subarray(0, -1)), null);
  });
}

test("a number is read from its longer forms too, and written in none above 62 bits", () => {
  assert.equal(decodeVarint(fromHex("4025")), { value: 37n, end: 2 });
  for (const value of [-1, 2n ** 62n]) assert.throws(() => encodeVarint(value), /no varint/);
  assert.equal(encodeVarint(2n ** 62n - 1n), fromHex("ffffffffffffffff"));
});

// RFC 7541, appendix C.4 and C.6.
const texts: [string, string][] = [
  ["f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"],
  ["a8eb10649cbf", "no-cache"],
  ["25a849e95ba97d7f", "custom-key"],
  ["25a849e95bb8e8b4bf", "custom-value"],
  ["d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"],
  ["9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"],
  [
    "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
  ],
];
for (const [hex, value] of texts) {
  test(`Huffman: ${value}`, () => assert.is(text(decodeHuffman(fromHex(hex))), value));
}

test("Huffman: the lengths are those of a complete code", () => {
  assert.is(HUFFMAN_LENGTHS.length, 257);
  assert.is(HUFFMAN_LENGTHS.reduce((sum, length) => sum + 2 ** -length, 0), 1);
});

for (
  const [name, hex] of [
    ["padding with zeros", "a8eb10649cbc"],
    ["a byte of padding", "a8eb10649cbfff"],
    ["the end of string", "ffffffff"],
    ["a code that is cut off", "ff"],
  ]
) {
  test(`Huffman: ${name} is an error`, () => {
    const error = errorOf(() => decodeHuffman(fromHex(hex!)));
    assert.is(error.http3Code, Http3Code.qpackDecompressionFailed);
  });
}

test("the static table is that of RFC 9204", () => {
  assert.is(STATIC_TABLE.length, 99);
  const some: [number, string, string][] = [
    [0, ":authority", ""],
    [1, ":path", "/"],
    [15, ":method", "CONNECT"],
    [25, ":status", "200"],
    [58, "strict-transport-security", "max-age=31536000; includesubdomains; preload"],
    [63, ":status", "100"],
    [71, ":status", "500"],
    [85, "content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"],
    [90, "origin", ""],
    [98, "x-frame-options", "sameorigin"],
  ];
  for (const [index, name, value] of some) assert.equal(STATIC_TABLE[index], [name, value]);
});

test("a field section: RFC 9204, appendix B.1, and every form without a dynamic table", () => {
  const example = fromHex("0000510b2f696e6465782e68746d6c");
  assert.equal(decodeFields(example), [[":path", "/index.html"]]);
  // Indexed 15; index 90 with a Huffman-coded value; literal name and value; index 98 in two bytes.
  const section = fromHex(
    "0000" + "cf" + "5f4b" + "919d29ad171863c78f0b97c8e9ae82ae43d3" + "2161" + "0162" + "ff23",
  );
  assert.equal(decodeFields(section), [
    [":method", "CONNECT"],
    ["origin", "https://www.example.com"],
    ["a", "b"],
    ["x-frame-options", "sameorigin"],
  ]);
});

test("what is encoded is decoded", () => {
  const fields = [[":status", "200"], ["a-name-of-some-length", "ü".repeat(300)], [
    "x",
    "",
  ]] as const;
  assert.equal(decodeFields(encodeFields(fields)), fields);
});

const broken: [string, string, number][] = [
  ["a Required Insert Count", "0100", Http3Code.qpackDecompressionFailed],
  ["a negative Base", "0080", Http3Code.qpackDecompressionFailed],
  ["an entry of the dynamic table", "000080", Http3Code.qpackDecompressionFailed],
  ["a name of the dynamic table", "0000400161", Http3Code.qpackDecompressionFailed],
  ["an entry behind the Base", "000010", Http3Code.qpackDecompressionFailed],
  ["a name behind the Base", "0000000161", Http3Code.qpackDecompressionFailed],
  ["an entry that the static table lacks", "0000ff24", Http3Code.qpackDecompressionFailed],
  ["a text that is cut off", "000051ff", Http3Code.qpackDecompressionFailed],
  ["a number without end", "0000ffffffffffffffffffff", Http3Code.qpackDecompressionFailed],
  ["nothing at all", "", Http3Code.qpackDecompressionFailed],
  ["too many fields", "0000" + "cf".repeat(MAX_SECTION / 32), Http3Code.excessiveLoad],
];
for (const [name, hex, code] of broken) {
  test(`a field section with ${name} is an error`, () => {
    assert.is(errorOf(() => decodeFields(fromHex(hex))).http3Code, code);
  });
}

test("own settings offer WebTransport to every draft, and are read back", () => {
  const settings = decodeSettings(encodeSettings(ownSettings()));
  assert.equal(settings, ownSettings());
  assert.ok(offersWebTransport(settings));
  for (const id of [0x08n, 0x33n]) {
    assert.not(offersWebTransport(new Map([...settings].filter(([other]) => other !== id))));
  }
  for (const id of [0x2b603742n, 0xc671706an, 0x14e9cd29n, 0x2c7cf000n]) {
    assert.ok(offersWebTransport(new Map([[0x08n, 1n], [0x33n, 1n], [id, 1n]])));
  }
});

test("frames are read one after the other, their payloads whole, in pieces, or not", async () => {
  const stream = ReadableStream.from(oneByOne([
    ...encodeFrame(FrameType.headers, bytes("whole")),
    ...encodeFrame(0x21n, bytes("skipped")),
    ...encodeFrame(FrameType.data, bytes("pieces")),
    ...encodeFrame(FrameType.data, bytes("")),
  ]));
  const frames = new FrameReader(stream);
  assert.equal(await frames.next(), { type: 1n, length: 5n });
  assert.is(text(await frames.payload(5)), "whole");
  assert.equal(await frames.next(), { type: 0x21n, length: 7n });
  await frames.skip();
  assert.equal(await frames.next(), { type: 0n, length: 6n });
  let pieces = "";
  for (let piece; (piece = await frames.piece());) pieces += text(piece);
  assert.is(pieces, "pieces");
  assert.equal(await frames.next(), { type: 0n, length: 0n });
  assert.is(await frames.piece(), null);
  assert.is(await frames.next(), null);
});

test("a prefix leaves what follows to be read", async () => {
  const stream = new ReadableStream<Uint8Array>({
    type: "bytes",
    start(controller) {
      controller.enqueue(Uint8Array.of(0x40, 0x41, 0x00, 7, 8));
      controller.close();
    },
  });
  const prefix = new PrefixReader(stream);
  assert.is(await prefix.varint(), 0x41n);
  assert.is(await prefix.varint(), 0n);
  prefix.release();
  const { value } = await stream.getReader().read();
  assert.equal(value, Uint8Array.of(7, 8));
});

test("a close is found among capsules, however they are cut", () => {
  const capsules = Uint8Array.from([
    ...encodeCapsule(0x190b4d3dn, new Uint8Array(300)),
    ...encodeCapsule(CapsuleType.drain, new Uint8Array(0)),
    ...encodeClose({ code: 0xfffffffe, reason: "für immer" }),
  ]);
  for (const size of [1, 2, 3, 7, 1_000]) {
    const reader = new CapsuleReader();
    let info;
    for (let at = 0; at < capsules.length; at += size) {
      assert.is(info, undefined);
      info = reader.take(capsules.subarray(at, at + size));
    }
    assert.equal(info, { code: 0xfffffffe, reason: "für immer" });
    assert.ok(reader.isWhole);
  }
});

for (const length of [0, 3, 1_029]) {
  test(`a close of ${length} bytes is an error`, () => {
    const capsule = encodeCapsule(CapsuleType.close, new Uint8Array(length));
    assert.is(errorOf(() => new CapsuleReader().take(capsule)).http3Code, Http3Code.messageError);
  });
}

test.run();

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

function* oneByOne(all: number[]): Iterable<Uint8Array> {
  for (const byte of all) yield Uint8Array.of(byte);
}

function errorOf(work: () => unknown): Http3Error {
  try {
    work();
  } catch (error) {
    if (error instanceof Http3Error) return error;
    throw error;
  }
  throw new Error("it did not fail");
}
