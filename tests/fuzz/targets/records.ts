/** The records of a channel, and their sealed form on a path. */

import { BlockReader } from "../../../core/block_reader.ts";
import { ByteWriter } from "../../../core/byte_writer.ts";
import { concat } from "../../../core/bytes.ts";
import { Path } from "../../../core/channel/path.ts";
import {
  dataHeader,
  decodeRecord,
  encodeAck,
  encodeDone,
  encodeFin,
  encodeReset,
  MAX_DATA,
  type Record,
} from "../../../core/channel/record.ts";
import { CipherState } from "../../../core/noise/cipher_state.ts";
import type { Random } from "../../random.ts";
import { bytes } from "../../text.ts";
import { Allocations } from "../allocations.ts";
import { chunked } from "../chunks.ts";
import { attempt, must, same } from "../expect.ts";
import { BOUNDARIES, mutate } from "../mutate.ts";
import type { Target } from "../target.ts";

/** A record of any kind that decodes. */
export function anyRecord(random: Random): Uint8Array {
  const count = () => Math.min(random.pick(BOUNDARIES), Number.MAX_SAFE_INTEGER);
  switch (random.below(5)) {
    case 0: {
      const length = random.below(8) === 0 ? MAX_DATA : 1 + random.below(200);
      return concat([dataHeader(count(), random.below(2) === 0), random.bytes(length)]);
    }
    case 1:
      return encodeFin(count());
    case 2:
      return encodeReset(
        random.below(65_536),
        random.pick(["", "gone", "ü".repeat(200), "\ufeffx"]),
      );
    case 3:
      return encodeAck(count(), count());
    default:
      return encodeDone();
  }
}

const record: Target = {
  name: "record",
  iterations: 3_000,
  make: (random) => mutate(anyRecord(random), random),
  async check(input) {
    const result = await attempt(() => decodeRecord(input), ["protocol"]);
    if ("error" in result) return;
    const again = encode(result.value);
    // The text of a RESET that was not UTF-8 has been mended, and may have grown by that.
    const exact = result.value.type === 2 ? 3 : input.length;
    same(again.subarray(0, exact), input.subarray(0, exact), "encoded again");
  },
};

const KEY = new Uint8Array(32).fill(7);
const EMPTY = new Uint8Array(0);
/** Bytes that a path may set aside beyond a constant times what has come: for one record. */
const ALLOWANCE = 4 * 65_536;

/** The input is a sealed stream, altered or not. */
const path: Target = {
  name: "path",
  iterations: 400,
  make(random) {
    const sealed = concat(
      RECORDS.slice(0, random.below(RECORDS.length + 1)).map(({ sealed }) => sealed),
    );
    return mutate(sealed, random, RECORDS.map(({ sealed }) => sealed));
  },
  async check(input) {
    const opening = new CipherState(KEY);
    const path = new Path({
      reader: new BlockReader({ readable: chunked(input) }),
      writer: new ByteWriter({ writable: new WritableStream() }),
      keys: {
        send: { seal: () => {} },
        receive: { open: (sealed) => opening.open(EMPTY, sealed) },
      },
    });
    let heard = 0;
    using allocations = new Allocations();
    const receiving = path.receive((record) => {
      // Sealed records are authentic and in order, so those that open are a beginning of what was sent.
      same(record, RECORDS[heard]?.plain, `record ${heard}`);
      heard++;
    });
    const result = await attempt(() => receiving, ["reset"]);
    must("error" in result, "the end of the stream passed for an end of the path");
    must(allocations.bytes <= 4 * input.length + ALLOWANCE, `${allocations.bytes} bytes`);
    const whole = unharmed(input);
    must(heard === whole, `${heard} records were heard, and ${whole} were unharmed`);
  },
};

/** Records as one end seals them. */
const RECORDS = seal([
  encodeAck(0, 262_144),
  concat([dataHeader(0, false), bytes("hello")]),
  concat([dataHeader(5, true), new Uint8Array(MAX_DATA)]),
  concat([dataHeader(5 + MAX_DATA, false), new Uint8Array(700).fill(3)]),
  encodeFin(705 + MAX_DATA),
  encodeDone(),
]);

function seal(records: Uint8Array[]): { plain: Uint8Array; sealed: Uint8Array }[] {
  const sealing = new CipherState(KEY);
  return records.map((plain) => {
    const sealed = new Uint8Array(4 + plain.length + 16);
    new DataView(sealed.buffer).setUint32(0, plain.length + 16);
    sealing.seal(EMPTY, [plain], sealed, 4);
    return { plain, sealed };
  });
}

/** How many records at the beginning of the input are as they were sealed. */
function unharmed(input: Uint8Array): number {
  let at = 0;
  const harmed = RECORDS.findIndex(({ sealed }) => {
    const part = input.subarray(at, at += sealed.length);
    return part.length !== sealed.length || !part.every((byte, i) => byte === sealed[i]);
  });
  return harmed < 0 ? RECORDS.length : harmed;
}

function encode(record: Record): Uint8Array {
  switch (record.type) {
    case 0:
      return concat([dataHeader(record.position, record.blocked), record.data]);
    case 1:
      return encodeFin(record.total);
    case 2:
      return encodeReset(record.code, record.reason);
    case 3:
      return encodeAck(record.received, record.limit);
    default:
      return encodeDone();
  }
}

export const records: Target[] = [record, path];
