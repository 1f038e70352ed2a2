/** The relay is in the middle: `operator` and `device` are the ends of the streams that it joins. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { Leftovers } from "../../tests/leftovers.ts";
import { bytes, text } from "../../tests/text.ts";
import { memoryPair, type MemorySession } from "../../transports/memory.ts";
import { BlockReader } from "../block_reader.ts";
import { delay } from "../deadline.ts";
import type { Stream } from "../transport.ts";
import type { ByteStream } from "../control_stream.ts";
import { ByteWriter } from "../byte_writer.ts";
import { splice } from "./splice.ts";

const KIB = 1024;

const test = suite("splice");

for (const [first, second] of [["operator", "device"], ["device", "operator"]] as const) {
  test(`the ${first} ends its direction, and the other goes on until it ends too`, async () => {
    using left = new Leftovers();
    const { done, ...ends } = await spliced({ signal: new AbortController().signal });
    await ends[first].write("question");
    await ends[first].close();
    assert.is(await ends[second].readAll(), "question");
    assert.is(await settled(done), false);
    await ends[second].write("a longer answer");
    await ends[second].close();
    assert.is(await ends[first].readAll(), "a longer answer");
    const [sent, received] = first === "operator" ? [8, 15] : [15, 8];
    assert.equal(await bounded("the splice", done), { sent, received });
    assert.is(left.listeners, 0);
  });
}

test("what was read of a side before goes ahead of the rest, and counts", async () => {
  const { operator, device, done } = await spliced({ read: "head" });
  await operator.write("tail");
  await Promise.all([operator.close(), device.close()]);
  assert.is(await device.readAll(), "headtail");
  assert.equal(await bounded("the splice", done), { sent: 8, received: 0 });
});

test("a reader that does not read stalls the writer at its other end", async () => {
  const { operator, device, done } = await spliced();
  const chunk = "x".repeat(16 * KIB);
  const total = 256 * chunk.length;
  let accepted = 0;
  const writing = (async () => {
    while (accepted < total) {
      await operator.write(chunk);
      accepted += chunk.length;
    }
    await operator.close();
  })();
  await delay(0); // Streams in memory move by microtasks alone: by now they have come to rest.
  assert.ok(accepted > 0 && accepted <= 256 * KIB, `${accepted} bytes were taken`);
  await device.write("beside");
  assert.is(await operator.read(), "beside");
  assert.is((await device.readAll()).length, total);
  await bounded("the writer", writing);
  await device.close();
  assert.equal(await bounded("the splice", done), { sent: total, received: 6 });
});

test("its signal cuts both sides at once, whatever they wait for", async () => {
  const cut = new AbortController();
  const { operator, device, done } = await spliced({ signal: cut.signal });
  await operator.write("begun");
  assert.is(await device.read(), "begun");
  const stalled = failureOf(fill(operator));
  await delay(0); // The writer is stalled now, see above.
  const reading = failureOf(operator.read());
  cut.abort();
  await bounded("the splice", done);
  assert.is((await bounded("the operator's write", stalled)).code, "reset");
  assert.is((await bounded("the operator's read", reading)).code, "reset");
  assert.is((await bounded("the device's read", failureOf(device.read()))).code, "reset");
  assert.is((await bounded("the device's write", failureOf(fill(device)))).code, "reset");
});

test("a signal that has fired already lets nothing through", async () => {
  const { operator, device, done } = await spliced({ read: "head", signal: AbortSignal.abort() });
  await bounded("the splice", done);
  for (const end of [operator, device]) {
    assert.is((await bounded("a read", failureOf(end.read()))).code, "reset");
    assert.is((await bounded("a write", failureOf(fill(end)))).code, "reset");
  }
});

for (const [failing, other] of [["operator", "device"], ["device", "operator"]] as const) {
  test(`the ${failing} aborts its writing: the ${other} reads no end, and may write`, async () => {
    const { done, ...ends } = await spliced();
    await ends[failing].write("begun");
    assert.is(await ends[other].read(), "begun");
    ends[failing].abort();
    assert.is((await bounded("the read", failureOf(ends[other].read()))).code, "reset");
    await ends[other].write("still here");
    await ends[other].close();
    assert.is(await ends[failing].readAll(), "still here");
    await bounded("the splice", done);
  });

  test(`the ${failing} stops reading: the ${other} cannot write, and may read`, async () => {
    const { done, ...ends } = await spliced();
    await ends[failing].cancel();
    assert.is((await bounded("the writes", failureOf(fill(ends[other])))).code, "reset");
    await ends[failing].write("still here");
    await ends[failing].close();
    assert.is(await ends[other].readAll(), "still here");
    await bounded("the splice", done);
  });

  test(`the ${failing} is lost: the ${other} is told both ways`, async () => {
    using left = new Leftovers();
    const { done, ...ends } = await spliced({ signal: new AbortController().signal });
    ends[failing].lose();
    assert.is((await bounded("the read", failureOf(ends[other].read()))).code, "reset");
    assert.is((await bounded("the writes", failureOf(fill(ends[other])))).code, "reset");
    await bounded("the splice", done);
    assert.is(left.listeners, 0);
  });
}

test.run();

/** The ends of a splice under way. @param read what the relay has read of the operator before */
async function spliced({ read = "", signal }: { read?: string; signal?: AbortSignal } = {}) {
  const [operator, near] = await joined(read);
  const [device, far] = await joined("");
  return { operator, device, done: splice(near, far, { signal }) };
}

/** A stream of a session of its own: its end, and the relay's. */
async function joined(read: string): Promise<[End, ByteStream]> {
  const [outside, relay] = memoryPair();
  const stream = await outside.openStream();
  const { value } = await relay.incoming.next();
  const reader = new BlockReader(value!);
  reader.putBack(bytes(read));
  return [new End(outside, stream), { reader, writer: new ByteWriter(value!) }];
}

/** An operator's or device's end of a stream. */
class End {
  readonly #session: MemorySession;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(session: MemorySession, stream: Stream) {
    this.#session = session;
    this.#reader = stream.readable.getReader();
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => {}); // Seen by the write that meets it.
  }

  write(written: string): Promise<void> {
    return bounded("a write", this.#writer.write(bytes(written)));
  }

  /** Null at the end. */
  async read(): Promise<string | null> {
    const { value, done } = await bounded("a read", this.#reader.read());
    return done ? null : text(value);
  }

  async readAll(): Promise<string> {
    let whole = "";
    for (let part; (part = await this.read()) !== null;) whole += part;
    return whole;
  }

  close = () => this.#writer.close();
  cancel = () => this.#reader.cancel();
  abort = () => void this.#writer.abort().catch(() => {});
  lose = () => this.#session.lose();
}

/** Writes more than all queues on the way can hold. */
async function fill(end: End): Promise<void> {
  for (let i = 0; i < 32; i++) await end.write("x".repeat(64 * KIB));
}

async function settled(work: Promise<unknown>): Promise<boolean> {
  let over = false;
  work.then(() => over = true);
  await delay(0);
  return over;
}
