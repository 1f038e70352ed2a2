import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { newSeed, Random } from "../tests/random.ts";
import { ByteReader } from "./bytes.ts";

const test = suite("ByteReader");

/** Both kinds of streams: those of bytes take the reader's memory. */
const kinds: Record<string, (parts: readonly Uint8Array[]) => ReadableStream<Uint8Array>> = {
  bytes(parts) {
    const left = [...parts];
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        const part = left.shift();
        if (part) controller.enqueue(part.slice());
        else controller.close();
        if (!part) controller.byobRequest?.respond(0);
      },
    }, { highWaterMark: 0 }) as ReadableStream<Uint8Array>;
  },
  chunks: (parts) => ReadableStream.from(parts.map((part) => part.slice())),
};

for (const [kind, streamOf] of Object.entries(kinds)) {
  test(`exact amounts come whole, however a stream of ${kind} is cut`, async () => {
    const random = new Random(newSeed());
    const all = random.bytes(20_000);
    const parts: Uint8Array[] = [];
    for (let at = 0; at < all.length;) {
      const part = all.subarray(at, at + 1 + random.below(3_000));
      parts.push(part);
      at += part.length;
    }
    const reader = new ByteReader({ readable: streamOf(parts) });
    for (let at = 0; at < all.length;) {
      const length = Math.min(1 + random.below(2_500), all.length - at);
      assert.equal(await bounded("bytes", reader.readExactly(length)), all.slice(at, at + length));
      at += length;
    }
    assert.is(reader.received, all.length);
    assert.is(await bounded("the end", reader.readExactly(1)), null);
  });

  test(`an end in the middle of a stream of ${kind} is a reset`, async () => {
    const reader = new ByteReader({ readable: streamOf([new Uint8Array(3)]) });
    const error = await bounded("the end", failureOf(reader.readExactly(4)));
    assert.is(error.code, "reset");
    assert.match(error.message, /after 3 of 4 bytes/);
  });

  test(`what a stream of ${kind} has ready stays to be read, and the rest is handed on`, async () => {
    const reader = new ByteReader({ readable: streamOf([Uint8Array.of(1, 2, 3)]) });
    assert.is(await bounded("bytes", reader.ready(new AbortController().signal)), true);
    assert.equal(await reader.readExactly(1), Uint8Array.of(1));
    assert.equal(await reader.detach().read(), Uint8Array.of(2, 3));
  });
}

test("what is handed out holds little more memory than it needs", async () => {
  const reader = new ByteReader({ readable: kinds.bytes!([new Uint8Array(100)]) });
  const head = await bounded("bytes", reader.readExactly(100));
  assert.ok(head!.buffer.byteLength <= 1_024, `${head!.buffer.byteLength} bytes`);
});

test.run();
