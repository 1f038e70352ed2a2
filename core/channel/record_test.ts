import { suite } from "uvu";
import * as assert from "uvu/assert";
import { concat } from "../bytes.ts";
import { failure } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import {
  dataHeader,
  decodeRecord,
  encodeAck,
  encodeDone,
  encodeFin,
  encodeReset,
  MAX_DATA,
} from "./record.ts";

const test = suite("records");
const BIG = 2 ** 52 + 12_345;

test("every record is read as it was written", () => {
  const data = Uint8Array.of(1, 2, 3);
  const record = concat([dataHeader(BIG, true), data]);
  assert.equal(decodeRecord(record), { type: 0, position: BIG, blocked: true, data });
  assert.equal(decodeRecord(encodeFin(BIG)), { type: 1, total: BIG });
  assert.equal(decodeRecord(encodeReset(2, "gone")), { type: 2, code: 2, reason: "gone" });
  assert.equal(decodeRecord(encodeAck(7, BIG)), { type: 3, received: 7, limit: BIG });
  assert.equal(decodeRecord(encodeDone()), { type: 4 });
});

test("a reason is cut between characters", () => {
  const record = decodeRecord(encodeReset(0, "ä".repeat(200)));
  assert.equal(record, { type: 2, code: 0, reason: "ä".repeat(128) });
});

const malformed: [string, Uint8Array][] = [
  ["an unknown type", Uint8Array.of(9)],
  ["an unknown type with the flag of DATA", Uint8Array.of(0x81, ...new Uint8Array(8))],
  ["DATA without data", dataHeader(0, false)],
  ["too much DATA", concat([dataHeader(0, false), new Uint8Array(MAX_DATA + 1)])],
  ["a FIN that is cut off", encodeFin(1).subarray(0, 8)],
  ["an ACK that is too long", concat([encodeAck(1, 2), Uint8Array.of(0)])],
  ["a DONE that says more", Uint8Array.of(4, 0)],
  ["a count beyond 2^53", Uint8Array.of(1, 0, 0x20, 0, 0, 0, 0, 0, 0)],
];
for (const [what, bytes] of malformed) {
  test(`${what} is a protocol error`, async () => {
    assert.is((await failure(() => decodeRecord(bytes))).code, "protocol");
  });
}

test("random bytes are a record or a protocol error, nothing else", () => {
  const random = new Random(newSeed());
  for (let i = 0; i < 20_000; i++) {
    const bytes = random.bytes(1 + random.below(40));
    bytes[0] = random.below(8) | (random.below(2) ? 0x80 : 0);
    try {
      decodeRecord(bytes);
    } catch (error) {
      assert.is((error as { code: string }).code, "protocol");
    }
  }
});

test.run();
