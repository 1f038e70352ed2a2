import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../../tests/random.ts";
import { decodeClose, encodeClose } from "./close_frame.ts";
import {
  encodeFrame,
  FrameError,
  headerSize,
  mask,
  newKey,
  Opcode,
  parseHeader,
  writeHeader,
} from "./frame.ts";

const test = suite("WebSocket frames");
const KEY = new Uint8Array([0x37, 0xfa, 0x21, 0x3d]);
const hello = new TextEncoder().encode("Hello");

test("the examples of RFC 6455, section 5.7, are read as they are meant", () => {
  const at = (...bytes: number[]) => parseHeader(new Uint8Array(bytes));
  const { text, continuation, binary, ping, pong } = Opcode;
  assert.equal(at(0x81, 0x05), header(true, text, false, 2, 5));
  assert.equal(at(0x81, 0x85, ...KEY), header(true, text, true, 6, 5));
  assert.equal(at(0x01, 0x03), header(false, text, false, 2, 3));
  assert.equal(at(0x80, 0x02), header(true, continuation, false, 2, 2));
  assert.equal(at(0x89, 0x05), header(true, ping, false, 2, 5));
  assert.equal(at(0x8a, 0x85, ...KEY), header(true, pong, true, 6, 5));
  assert.equal(at(0x82, 0x7e, 0x01, 0x00), header(true, binary, false, 4, 256));
  assert.equal(
    at(0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0),
    header(true, binary, false, 10, 65_536),
  );
});

test("the examples of RFC 6455, section 5.7, are written as they stand", () => {
  assert.equal(hex(encodeFrame(Opcode.text, hello)), "810548656c6c6f");
  assert.equal(hex(encodeFrame(Opcode.text, hello, KEY)), "818537fa213d7f9f4d5158");
  assert.equal(hex(encodeFrame(Opcode.ping, hello)), "890548656c6c6f");
  assert.equal(hex(encodeFrame(Opcode.pong, hello, KEY)), "8a8537fa213d7f9f4d5158");
  const start = (length: number) =>
    hex(encodeFrame(Opcode.binary, new Uint8Array(length)).subarray(0, headerSize(length, false)));
  assert.equal(start(256), "827e0100");
  assert.equal(start(65_536), "827f0000000000010000");
});

test("writeHeader and parseHeader agree on every kind of length", () => {
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    for (const key of [undefined, KEY]) {
      const size = headerSize(length, key !== undefined);
      const bytes = new Uint8Array(size);
      writeHeader(bytes, Opcode.binary, length, key);
      assert.equal(parseHeader(bytes), header(true, Opcode.binary, !!key, size, length));
      for (let cut = 0; cut < size; cut++) {
        assert.is(parseHeader(bytes.subarray(0, cut)), undefined);
      }
      if (key) assert.equal([...bytes.subarray(-4)], [...KEY]);
    }
  }
});

const BAD: Record<string, number[]> = {
  "a reserved bit": [0xc2, 0],
  "a reserved data opcode": [0x83, 0],
  "a reserved control opcode": [0x8b, 0],
  "a fragmented ping": [0x09, 0],
  "a ping of 126 bytes": [0x89, 126, 0, 126],
  "125 bytes in an extended length": [0x82, 126, 0, 125],
  "65,535 bytes in the longest length": [0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
  "2^53 bytes": [0x82, 127, 0, 0x20, 0, 0, 0, 0, 0, 0],
  "the most significant bit of a length": [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
};

for (const [name, bytes] of Object.entries(BAD)) {
  test(`parseHeader refuses ${name}`, () => {
    assert.throws(
      () => parseHeader(new Uint8Array(bytes)),
      (e: unknown) => e instanceof FrameError,
    );
  });
}

test("mask is what section 5.3 says, at every alignment and length", () => {
  const random = new Random(newSeed());
  const memory = random.bytes(200);
  for (let offset = 0; offset < 8; offset++) {
    for (const length of [0, 1, 2, 3, 4, 5, 7, 31, 32, 33, 36, 67, 150]) {
      const key = random.bytes(4);
      const bytes = memory.slice().subarray(offset, offset + length);
      mask(bytes, key);
      const expected = memory.subarray(offset, offset + length).map((b, i) => b ^ key[i & 3]!);
      assert.equal(bytes, expected, `offset ${offset}, length ${length}`);
    }
  }
});

test("masking keys differ", () => {
  const keys = new Set(Array.from({ length: 5_000 }, () => hex(newKey())));
  assert.ok(keys.size > 4_990, `${keys.size} of 5,000 are different`);
});

test("close frames carry code and reason both ways", () => {
  assert.equal(decodeClose(encodeClose(1000, "done")), { code: 1000, reason: "done" });
  assert.equal(decodeClose(new Uint8Array(0)), { code: 1005, reason: "" });
  assert.is(encodeClose(1000, "é".repeat(100)).length, 2 + 122);
  for (const code of [1000, 1003, 1007, 1014, 3000, 4999]) decodeClose(encodeClose(code, ""));
});

test("close frames that must not come are refused", () => {
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]) {
    assert.throws(() => decodeClose(encodeClose(code, "")), /no valid code/, `${code}`);
  }
  assert.throws(() => decodeClose(new Uint8Array([3])), /no valid code/);
  assert.throws(() => decodeClose(new Uint8Array([3, 232, 0xff])), /not UTF-8/);
});

function header(final: boolean, opcode: number, masked: boolean, size: number, length: number) {
  return { final, opcode, masked, size, length };
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

test.run();
