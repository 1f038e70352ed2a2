import { suite } from "uvu";
import * as assert from "uvu/assert";
import { newSeed, Random } from "../../tests/random.ts";
import { bounded } from "../../tests/conformance.ts";
import { memoryPair, type MemorySession } from "../../transports/memory.ts";
import { ByteReader, concat } from "../bytes.ts";
import { TunnelError } from "../errors.ts";
import type { Stream } from "../transport.ts";
import { Channel, type ChannelOptions, INITIAL_WINDOW } from "./channel.ts";
import { encodeAck, encodeData, encodeFin } from "./record.ts";

const test = suite("channel");

test("bytes arrive whole, both ends finish, and the stream below ends with them", async () => {
  const seed = newSeed();
  const { a, b, session } = await pair();
  const sentBytes = await bounded(
    "both ways",
    Promise.all([
      pour(a, seed, 3_000_000),
      drain(b, seed),
      pour(b, seed + 1, 3_000_000),
      drain(a, seed + 1),
    ]),
  );
  assert.is(sentBytes[0], sentBytes[1]);
  await bounded("closed", Promise.all([a.closed, b.closed]));
  session.close();
});

test("half-close: one direction ends, the other goes on", async () => {
  const { a, b } = await pair();
  await a.write(bytes("question"));
  await a.closeWrite();
  assert.is(text(await b.read()), "question");
  assert.is(await b.read(), null);
  await b.write(bytes("answer"));
  await b.closeWrite();
  assert.is(text(await a.read()), "answer");
  assert.is(await a.read(), null);
  await bounded("closed", Promise.all([a.closed, b.closed]));
});

test("a reset arrives as a reset with its reason, on both pending and later calls", async () => {
  const { a, b } = await pair();
  const pending = b.read().then(() => "bytes", (e) => e.message);
  a.reset(new TunnelError("reset", { action: "copy", state: "the application crashed" }));
  assert.match(await bounded("the read", pending), /other end reset it: the application crashed/);
  assert.is(await b.read().then(() => "bytes", code), "reset");
  assert.is(await b.write(bytes("late")).then(() => "taken", code), "reset");
  assert.is(await a.closed.then(() => "in order", code), "reset");
  assert.is(await b.closed.then(() => "in order", code), "reset");
});

test("a stream that ends without FIN is never a clean end", async () => {
  const { raw, b } = await half();
  const writer = raw.writable.getWriter();
  await writer.write(encodeData(bytes("half a mess"), false));
  await writer.close();
  let outcome: unknown;
  while (outcome === undefined) {
    outcome = await bounded(
      "the end",
      b.read().then((r) => r === null ? "an end" : undefined, code),
    );
  }
  assert.is(outcome, "reset");
});

test("a lost session fails the channel at both ends", async () => {
  const { a, b, session } = await pair();
  const reading = [a.read(), b.read()].map((read) => read.then(() => "bytes", code));
  session.lose();
  assert.equal(await bounded("both", Promise.all(reading)), ["reset", "reset"]);
  await bounded("closed", a.closed.catch(() => {}));
});

test("a reader that stops reading stalls the writer within its window", async () => {
  const { a, b } = await pair({ maxWindow: INITIAL_WINDOW });
  let taken = 0;
  const writing = (async () => {
    for (let i = 0; i < 64; i++) {
      await a.write(new Uint8Array(65_536));
      taken += 65_536;
    }
    await a.closeWrite();
  })();
  // The opposite direction is the clock, and proves that a full window blocks nobody else.
  for (let i = 0; i < 200; i++) {
    await bounded("the way back", b.write(bytes("tick")));
    await bounded("the way back", a.read());
  }
  assert.ok(taken <= INITIAL_WINDOW, `${taken} bytes were taken`);
  let got = 0;
  for (let chunk; (chunk = await bounded("the rest", b.read())) !== null;) got += chunk.length;
  await writing;
  assert.is(got, 64 * 65_536);
});

test("both ends may write without reading, and a reset still gets through", async () => {
  const { a, b } = await pair();
  const outcome = [a, b].map((end) =>
    (async () => {
      for (;;) await end.write(new Uint8Array(65_536));
    })().catch(code)
  );
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 0));
  a.reset(new TunnelError("reset", { action: "copy", state: "enough" }));
  assert.equal(await bounded("both writers", Promise.all(outcome)), ["reset", "reset"]);
});

const violations: [string, (writer: WritableStreamDefaultWriter<Uint8Array>) => Promise<void>][] = [
  ["more than the credit", async (w) => {
    for (let i = 0; i < 3; i++) await w.write(encodeData(new Uint8Array(262_144), false));
  }],
  ["a FIN that counts wrong", (w) => w.write(encodeFin(7))],
  ["data after the end", async (w) => {
    await w.write(encodeFin(0));
    await w.write(encodeData(bytes("x"), false));
  }],
  ["an ACK of what was not sent", (w) => w.write(encodeAck(9, INITIAL_WINDOW))],
  ["credit taken back", (w) => w.write(encodeAck(0, INITIAL_WINDOW - 1))],
  ["an unknown record", (w) => w.write(new Uint8Array([9, 0, 0, 0]))],
  ["an empty DATA record", (w) => w.write(new Uint8Array([0, 0, 0, 0]))],
  ["an oversized record", (w) => w.write(new Uint8Array([0, 0xff, 0xff, 0xff]))],
];
for (const [name, act] of violations) {
  test(`a peer that sends ${name} is told and refused`, async () => {
    const { raw, b } = await half();
    await act(raw.writable.getWriter()).catch(() => {});
    assert.is(await bounded("closed", b.closed.then(() => "in order", code)), "protocol");
    const answer = new ByteReader(raw.readable);
    let type: number | undefined;
    for (let head; type !== 2 && (head = await bounded("RESET", answer.readExactly(4)));) {
      type = head[0];
      await answer.readExactly(head[1]! << 16 | head[2]! << 8 | head[3]!);
    }
    assert.is(type, 2, "no RESET came");
  });
}

test("a tiny-record flood costs its bytes, not its count", async () => {
  const { raw, b } = await half();
  const writer = raw.writable.getWriter();
  const flood = concat(Array.from({ length: 10_000 }, () => encodeData(bytes("x"), false)));
  await writer.write(flood);
  await writer.write(encodeFin(10_000));
  let pieces = 0;
  for (let chunk, got = 0; got < 10_000; pieces++) {
    chunk = (await bounded("bytes", b.read()))!;
    got += chunk.length;
  }
  assert.ok(pieces < 5_000, `${pieces} pieces`);
});

test.run();

async function streams(): Promise<{ near: Stream; far: Stream; session: MemorySession }> {
  const [session, peer] = memoryPair();
  const near = await session.openStream();
  const far = (await peer.incoming.getReader().read()).value!;
  return { near, far, session };
}

async function pair(options?: ChannelOptions) {
  const { near, far, session } = await streams();
  const a = new Channel(new ByteReader(near.readable), near.writable, options);
  const b = new Channel(new ByteReader(far.readable), far.writable, options);
  return { a, b, session };
}

/** A channel whose peer is driven by hand. */
async function half() {
  const { near, far } = await streams();
  return { raw: near, b: new Channel(new ByteReader(far.readable), far.writable) };
}

async function pour(channel: Channel, seed: number, total: number): Promise<number> {
  const random = new Random(seed);
  let sent = 0;
  while (sent < total) {
    const chunk = random.bytes(1 + random.below(200_000));
    await channel.write(chunk);
    sent += chunk.length;
  }
  await channel.closeWrite();
  return sent;
}

async function drain(channel: Channel, seed: number): Promise<number> {
  const random = new Random(seed);
  let expected = new Uint8Array(0);
  let at = 0;
  let total = 0;
  for (let chunk; (chunk = await channel.read()) !== null;) {
    for (const byte of chunk) {
      if (at === expected.length) {
        expected = random.bytes(1 + random.below(200_000));
        at = 0;
      }
      if (byte !== expected[at++]) throw new Error(`byte ${total} differs`);
      total++;
    }
  }
  return total;
}

function code(error: unknown): string {
  return error instanceof TunnelError ? error.code : String(error);
}

const bytes = (value: string) => new TextEncoder().encode(value);
const text = (value: Uint8Array | null) => new TextDecoder().decode(value!);
