/** HTTP/3 and what is in it: numbers, frames, SETTINGS, field sections, capsules, streams' beginnings. */

import { concat } from "../../../core/bytes.ts";
import {
  CapsuleReader,
  CapsuleType,
  encodeCapsule,
  encodeClose,
} from "../../../transports/webtransport/capsule.ts";
import { Http3Error } from "../../../transports/webtransport/errors.ts";
import { encodeFrame, FrameReader } from "../../../transports/webtransport/frame.ts";
import { decodeHuffman, HUFFMAN_LENGTHS } from "../../../transports/webtransport/huffman.ts";
import { PrefixReader } from "../../../transports/webtransport/prefix.ts";
import {
  decodeFields,
  encodeFields,
  type Field,
  MAX_SECTION,
} from "../../../transports/webtransport/qpack.ts";
import { checkEncoder, DecoderCheck } from "../../../transports/webtransport/qpack_streams.ts";
import { fieldsByName, judge, sessionRequest } from "../../../transports/webtransport/request.ts";
import {
  decodeSettings,
  encodeSettings,
  ownSettings,
} from "../../../transports/webtransport/settings.ts";
import { STATIC_TABLE } from "../../../transports/webtransport/static_table.ts";
import { decodeVarint, encodeVarint } from "../../../transports/webtransport/varint.ts";
import type { Random } from "../../random.ts";
import { bytes } from "../../text.ts";
import { Allocations } from "../allocations.ts";
import { chunked, pieces } from "../chunks.ts";
import { attempt, must, same } from "../expect.ts";
import { mutate } from "../mutate.ts";
import type { Target } from "../target.ts";

const NUMBERS = [0n, 1n, 63n, 64n, 16_383n, 16_384n, 2n ** 30n - 1n, 2n ** 30n, 2n ** 62n - 1n];
const TYPES = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 13n, 0x21n, 0x41n, 0x54n];

/** What the runtime sets aside for a stream and its readers, beyond what came. */
const ALLOWANCE = 64 * 1024;

const varint: Target = {
  name: "http3:varint",
  iterations: 500,
  make: (random) => mutate(concat([encodeVarint(random.pick(NUMBERS)), random.bytes(3)]), random),
  check(input) {
    const read = decodeVarint(input);
    const size = input.length > 0 ? 2 ** Math.floor(input[0]! / 64) : 1;
    if (input.length < size) return same(read, null, "a number that is cut off");
    const digits = Array.from(input.subarray(0, size), (byte) => byte.toString(2).padStart(8, "0"));
    const value = BigInt(`0b${digits.join("").slice(2)}`);
    same(read, { value, end: size }, "a number");
    const shortest = encodeVarint(value);
    must(shortest.length <= size, "a form that is longer");
    same(decodeVarint(shortest)!.value, value, "encoded again");
  },
};

const frames: Target = {
  name: "http3:frames",
  iterations: 1_000,
  make(random) {
    const some = Array.from(
      { length: 1 + random.below(4) },
      () => encodeFrame(random.pick(TYPES), random.bytes(random.below(60))),
    );
    return mutate(concat(some), random, some);
  },
  async check(input) {
    const expected = framesOf(input);
    using allocations = new Allocations();
    const reader = new FrameReader(chunked(input));
    for (const wanted of expected) {
      const result = await attempt(() => reader.next(), ["protocol"]);
      if ("error" in result) {
        same(wanted, "cut off", "a header");
        break;
      }
      if (wanted === "end") {
        same(result.value, null, "the end");
        break;
      }
      must(typeof wanted === "object" && result.value !== null, `a header in place of ${wanted}`);
      same(result.value.type, wanted.type, "a type");
      // By turns: whole, in pieces, and unread.
      const way = Number(wanted.type % 3n);
      const payload = await attempt(() => take(reader, way), ["protocol"]);
      if ("error" in payload) {
        must(
          wanted.payload === null || wanted.payload.length > MAX_SECTION,
          "a payload was refused",
        );
        break;
      }
      if (way < 2) same(payload.value, wanted.payload, "a payload");
    }
    must(allocations.bytes <= 4 * input.length + ALLOWANCE, `${allocations.bytes} bytes`);
  },
};

async function take(reader: FrameReader, way: number): Promise<Uint8Array | void> {
  if (way === 0) return (await reader.payload(MAX_SECTION)).slice();
  if (way === 2) return await reader.skip();
  const parts: Uint8Array[] = [];
  for (let piece; (piece = await reader.piece());) parts.push(piece.slice());
  return concat(parts);
}

/** All at once; a payload that is cut off is null. */
function framesOf(input: Uint8Array) {
  const found: ({ type: bigint; payload: Uint8Array | null } | "end" | "cut off")[] = [];
  for (let at = 0;;) {
    if (at === input.length) return [...found, "end" as const];
    const type = decodeVarint(input, at);
    const length = type && decodeVarint(input, type.end);
    if (!length) return [...found, "cut off" as const];
    const left = input.length - length.end;
    const isWhole = length.value <= BigInt(left);
    const end = isWhole ? length.end + Number(length.value) : input.length;
    const payload = isWhole ? input.slice(length.end, end) : null;
    found.push({ type: type.value, payload });
    if (!isWhole) return found;
    at = end;
  }
}

const settings: Target = {
  name: "http3:settings",
  iterations: 500,
  make(random) {
    const some = new Map([...ownSettings()].filter(() => random.below(3) > 0));
    some.set(random.pick(NUMBERS), random.pick(NUMBERS));
    return mutate(encodeSettings(some), random);
  },
  async check(input) {
    const result = await attempt(() => decodeSettings(input), ["protocol"]);
    if ("error" in result) return must(result.error instanceof Http3Error, "no code");
    same(decodeSettings(encodeSettings(result.value)), result.value, "encoded again");
    for (const id of [0x0n, 0x2n, 0x3n, 0x4n, 0x5n]) must(!result.value.has(id), "one is reserved");
  },
};

/** The codes as texts of ones and zeros, in the order that makes them canonical. */
const CODES = codes();

function codes(): string[] {
  const made: string[] = [];
  let next = 0;
  for (let length = 1; length <= 30; length++) {
    HUFFMAN_LENGTHS.forEach((other, symbol) => {
      if (other === length) made[symbol] = (next++).toString(2).padStart(length, "0");
    });
    next *= 2;
  }
  return made;
}

function encodeHuffman(text: Uint8Array): Uint8Array<ArrayBuffer> {
  const bits = Array.from(text, (byte) => CODES[byte]!).join("");
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return Uint8Array.from(padded.match(/.{8}/g) ?? [], (byte) => parseInt(byte, 2));
}

const huffman: Target = {
  name: "http3:huffman",
  iterations: 1_000,
  make(random) {
    const text = random.below(2) === 0
      ? random.bytes(random.below(30))
      : bytes("https://console.example.com:4433");
    return random.below(3) === 0 ? encodeHuffman(text) : mutate(encodeHuffman(text), random);
  },
  async check(input) {
    using allocations = new Allocations();
    const result = await attempt(() => decodeHuffman(input), ["protocol"]);
    must(allocations.bytes <= 2 * input.length + 16, `${allocations.bytes} bytes`);
    // Codes are unambiguous and padding is fixed, so a text has one form alone.
    if ("value" in result) same(encodeHuffman(result.value), input, "encoded again");
  },
};

function anyFields(random: Random): Uint8Array {
  const parts: Uint8Array[] = [new Uint8Array(2)];
  for (let i = random.below(5); i >= 0; i--) {
    const text = bytes(random.pick(["", "origin", "https://x.example", "ü"]));
    const coded = encodeHuffman(text);
    const index = random.below(STATIC_TABLE.length);
    switch (random.below(4)) {
      case 0:
        parts.push(index < 63 ? Uint8Array.of(0xc0 | index) : Uint8Array.of(0xff, index - 63));
        break;
      case 1:
        parts.push(Uint8Array.of(0x50 | index % 15, 0x80 | coded.length), coded);
        break;
      case 2:
        parts.push(encodeFields([["origin", "https://x.example"]]).subarray(2));
        break;
      default:
        parts.push(Uint8Array.of(0x20 | 1, 0x61, text.length), text);
    }
  }
  return concat(parts);
}

const fields: Target = {
  name: "http3:fields",
  iterations: 1_500,
  make(random) {
    const whole = random.below(2) === 0
      ? anyFields(random)
      : encodeFields([...sessionRequest("x:1"), ["origin", "https://x.example"]]);
    return mutate(whole, random, [anyFields(random)]);
  },
  async check(input) {
    const section = input.subarray(0, MAX_SECTION);
    const result = await attempt(() => decodeFields(section), ["protocol"]);
    if ("error" in result) return must(result.error instanceof Http3Error, "no code");
    const found = result.value;
    const size = found.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    must(size <= MAX_SECTION, `${size} bytes of fields`);
    same(decodeFields(encodeFields(found)), found, "encoded again");
    checkJudgement(found);
  },
};

/** Whatever the fields are, a session is for those who may have one. */
function checkJudgement(found: readonly Field[]): void {
  const { status, isSession } = judge(found, { allowsOrigin: (origin) => origin === "https://ok" });
  if (status !== 200) return must([400, 403, 404, 501].includes(status), `status ${status}`);
  const all = fieldsByName(found)!;
  must(isSession && all.get(":method") === "CONNECT", "a session without a CONNECT");
  must(/^\/tunnel($|\?)/.test(all.get(":path")!), "a session of another path");
  for (const [name, value] of found) {
    if (name.toLowerCase() === "origin") same(value, "https://ok", "an origin that is not allowed");
  }
}

const instructions: Target = {
  name: "http3:instructions",
  iterations: 500,
  make: (random) => mutate(Uint8Array.of(0x20, 0x44, 0x7f, 0x81, 0x01, 0x20), random),
  async check(input) {
    await attempt(() => checkEncoder(input), ["protocol"]);
    const whole = await attempt(() => new DecoderCheck().take(input), ["protocol"]);
    const check = new DecoderCheck();
    const cut = await attempt(() => pieces(input).forEach((part) => check.take(part)), [
      "protocol",
    ]);
    same("error" in cut, "error" in whole, "how it is cut makes a difference");
    const isOther = input.length > 0 && input[0]! >> 6 !== 1;
    must(!isOther || "error" in whole, "an instruction that needs a table passed");
  },
};

const capsules: Target = {
  name: "http3:capsules",
  iterations: 1_000,
  make(random) {
    const some = Array.from({ length: random.below(4) }, () =>
      encodeCapsule(
        random.pick([0n, 0x29n, CapsuleType.drain, 0x190b4d3dn]),
        random.bytes(random.below(40)),
      ));
    some.push(
      encodeClose({ code: random.next(), reason: random.pick(["", "gone ü", "x".repeat(1_024)]) }),
    );
    return mutate(concat(some), random, some);
  },
  async check(input) {
    const whole = await attempt(() => new CapsuleReader().take(input), ["protocol"]);
    using allocations = new Allocations();
    const reader = new CapsuleReader();
    const cut = await attempt(() => {
      let info;
      for (const part of pieces(input)) {
        // What comes behind a close is judged by the stream's reader.
        must(info === undefined || "error" in whole, "a close that had more behind it");
        if (info) return info;
        info = reader.take(part);
      }
      return info;
    }, ["protocol"]);
    // A header takes 16 bytes; a close is gathered piece by piece, and never more than one.
    const most = 16 * input.length + 1_100 * (pieces(input).length + 2);
    must(allocations.bytes <= most, `${allocations.bytes} bytes`);
    if ("error" in whole) return;
    same(cut, whole, "how it is cut makes a difference");
    if (!whole.value) return;
    const again = encodeClose(whole.value);
    // A mark in front of a text (U+FEFF) is not part of it.
    must(again.length <= input.length, "a close that is longer than what came");
  },
};

const prefix: Target = {
  name: "http3:prefix",
  iterations: 500,
  make: (random) => mutate(concat([encodeVarint(0x41), encodeVarint(0), random.bytes(20)]), random),
  async check(input) {
    const stream = byteStream(input);
    const most = input.length % 2 === 0 ? 1 : 3;
    const reader = new PrefixReader(stream, most);
    const type = decodeVarint(input);
    same(await reader.varint(), type?.value ?? null, "the type");
    const session = type && decodeVarint(input, type.end);
    if (type) same(await reader.varint(), session?.value ?? null, "the session");
    reader.release();
    if (!session) return;
    must(reader.taken.length <= Math.max(session.end, most), "more was taken than was wanted");
    const rest: Uint8Array[] = [];
    for await (const chunk of stream) rest.push(chunk);
    same(concat([reader.taken, ...rest]), input, "what was taken, and the rest");
  },
};

function byteStream(input: Uint8Array): ReadableStream<Uint8Array> {
  const parts = pieces(input);
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const next = parts.shift();
      if (next) return controller.enqueue(next as Uint8Array<ArrayBuffer>);
      controller.close();
      (controller as ReadableByteStreamController).byobRequest?.respond(0);
    },
  });
}

export const http3: Target[] = [
  varint,
  frames,
  settings,
  huffman,
  fields,
  instructions,
  capsules,
  prefix,
];
