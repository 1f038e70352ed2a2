import { suite } from "uvu";
import * as assert from "uvu/assert";
import { drain, pour } from "../../tests/bytes.ts";
import { bounded } from "../../tests/conformance.ts";
import { type PathPair, pathPair } from "../../tests/paths.ts";
import { newSeed } from "../../tests/random.ts";
import { TunnelError } from "../errors.ts";
import { Channel, type ChannelOptions, INITIAL_WINDOW } from "./channel.ts";
import type { Path } from "./path.ts";
import {
  dataHeader,
  decodeRecord,
  encodeAck,
  encodeDone,
  encodeFin,
  MAX_DATA,
  type Record,
} from "./record.ts";

const test = suite("channel");
const sessions: { lose(): void }[] = [];
test.after.each(() => {
  for (const session of sessions.splice(0)) session.lose();
});

test("bytes arrive whole, both ends finish, and the stream below ends with them", async () => {
  const seed = newSeed();
  const { a, b, session } = await pair();
  const total = 3_000_000;
  const sent = Promise.all([pour(a, seed, total), pour(b, seed + 7, total)]);
  const received = await bounded("both ways", Promise.all([drain(b, seed), drain(a, seed + 7)]));
  assert.equal(received, [total, total]);
  await sent;
  await bounded("closed", Promise.all([a.closed, b.closed]));
  await bounded("released", Promise.all([a.released, b.released]));
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

test("writing behind the end is misuse", async () => {
  const { a } = await pair();
  await a.closeWrite();
  assert.is(await a.write(bytes("late")).then(() => "taken", code), "usage");
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
  await bounded("both know", Promise.all([a.released, b.released]));
});

test("two resets at once are one end", async () => {
  const { a, b } = await pair();
  const error = new TunnelError("reset", { action: "copy", state: "enough" });
  for (const channel of [a, b]) channel.reset(error);
  await bounded("both know", Promise.all([a.released, b.released]));
});

test("a path that ends without FIN is no end: the channel waits for another", async () => {
  const lost = Promise.withResolvers<TunnelError>();
  const { peer, b } = await half({ onDetached: lost.resolve });
  await peer.send(dataHeader(0, false), bytes("half a mess"));
  assert.is(text(await b.read()), "half a mess");
  const reading = b.read().then((chunk) => chunk === null ? "an end" : "bytes", code);
  await peer.close();
  assert.is((await bounded("the loss", lost.promise)).code, "reset");
  b.abandon(new TunnelError("reset", { action: "wait", state: "no other path came" }));
  assert.is(await bounded("the read", reading), "reset");
});

test("a path that comes when its channel has been given up ends, and the peer goes on to another", async () => {
  const lost = Promise.withResolvers<TunnelError>();
  const { a, b, session } = await pair({ onDetached: lost.resolve }, {});
  session.lose();
  b.abandon(new TunnelError("reset", { action: "wait", state: "no other path came" }));
  await bounded("the loss", lost.promise);
  const again = await newPaths();
  const waiting = again.near.receive(() => {}).then(() => "an end", code);
  b.attach(again.far, a.received);
  assert.is(await bounded("the path", waiting), "reset");
});

test("a lost session detaches both ends, and what they wrote waits", async () => {
  const detached: string[] = [];
  const options = (name: string) => ({ onDetached: () => void detached.push(name) });
  const { a, b, session } = await pair(options("a"), options("b"));
  session.lose();
  await a.write(bytes("kept"));
  const { near, far } = await newPaths();
  a.attach(near, b.received);
  b.attach(far, a.received);
  assert.is(text(await bounded("bytes", b.read())), "kept");
  assert.equal(detached.sort(), ["a", "b"]);
});

test("a reader that stops reading stalls the writer within its window", async () => {
  const { a, b } = await pair({ maxWindow: INITIAL_WINDOW });
  // A writer waits once two records are unsent, whatever the last write had.
  const [total, unsent] = [64 * 65_536, 2 * MAX_DATA + 65_536];
  let taken = 0;
  const writing = (async () => {
    while (taken < total) {
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
  assert.ok(taken <= INITIAL_WINDOW + unsent, `${taken} bytes were taken`);
  let got = 0;
  for (let chunk; (chunk = await bounded("the rest", b.read())) !== null;) got += chunk.length;
  await writing;
  assert.is(got, total);
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

const violations: [string, (peer: Path) => Promise<void>][] = [
  ["more than the credit", async (peer) => {
    for (let at = 0; at <= INITIAL_WINDOW; at += MAX_DATA) {
      await peer.send(dataHeader(at, false), new Uint8Array(MAX_DATA));
    }
  }],
  ["data with a gap", (peer) => peer.send(dataHeader(1, false), bytes("x"))],
  ["a FIN that counts wrong", (peer) => peer.send(encodeFin(7))],
  ["data behind the end", async (peer) => {
    await peer.send(encodeFin(0));
    await peer.send(dataHeader(0, false), bytes("x"));
  }],
  ["an ACK of what was not sent", (peer) => peer.send(encodeAck(9, INITIAL_WINDOW))],
  ["credit taken back", (peer) => peer.send(encodeAck(0, INITIAL_WINDOW - 1))],
  ["a DONE before the end", (peer) => peer.send(encodeDone())],
  ["an unknown record", (peer) => peer.send(Uint8Array.of(9))],
];
for (const [name, act] of violations) {
  test(`a peer that sends ${name} is told and refused`, async () => {
    const { peer, b } = await half();
    const heard = records(peer);
    await act(peer);
    assert.is(await bounded("closed", b.closed.then(() => "in order", code)), "protocol");
    let record: Record;
    do record = await bounded("RESET", heard()); while (record.type !== 2);
    assert.is(record.code, 3);
    await peer.send(encodeDone());
    await bounded("released", b.released);
  });
}

test("a FIN that comes again behind the last word is not answered", async () => {
  const { peer, b } = await half();
  const heard = records(peer);
  await b.closeWrite();
  await peer.send(encodeFin(0));
  await peer.send(encodeAck(0, INITIAL_WINDOW));
  let record: Record;
  do record = await bounded("FIN", heard()); while (record.type !== 1);
  await peer.send(encodeAck(1, INITIAL_WINDOW));
  do record = await bounded("DONE", heard()); while (record.type !== 4);
  await peer.send(encodeFin(0));
  // The path ends, and with it what was said on it.
  await peer.send(encodeDone());
  await bounded("released", b.released);
  assert.is(await bounded("the end", heard()).then((record) => record.type, () => "none"), "none");
});

test("a tiny-record flood costs its bytes, not its count", async () => {
  const { peer, b } = await half();
  for (let i = 0; i < 10_000; i++) await peer.send(dataHeader(i, false), bytes("x"));
  await peer.send(encodeFin(10_000));
  let pieces = 0;
  for (let got = 0; got < 10_000; pieces++) got += (await bounded("bytes", b.read()))!.length;
  assert.ok(pieces < 5_000, `${pieces} pieces`);
});

test("a service says at once that it is there, and a device hears it", async () => {
  const { a, b } = await pair({ announce: true }, {});
  await bounded("a word", until(() => b.heard));
  assert.is(a.heard, false);
});

test.run();

/** Lost after the test: an end that waits for the other's would do so for seconds. */
async function newPaths(): Promise<PathPair> {
  const made = await pathPair();
  sessions.push(made.session);
  return made;
}

async function pair(options: ChannelOptions = {}, others: ChannelOptions = options) {
  const { near, far, session } = await newPaths();
  const [a, b] = [new Channel(options), new Channel(others)];
  for (const channel of [a, b]) channel.closed.catch(() => {});
  a.attach(near, 0);
  b.attach(far, 0);
  return { a, b, session };
}

/** A channel whose peer is driven by hand. */
async function half(options: ChannelOptions = {}) {
  const { near, far } = await newPaths();
  const b = new Channel(options);
  b.closed.catch(() => {});
  b.attach(far, 0);
  return { peer: near, b };
}

/** The records that come on a path, one by one. */
function records(path: Path): () => Promise<Record> {
  const waiting: Record[] = [];
  let wake = () => {};
  let ended = false;
  path.receive((bytes) => {
    waiting.push(decodeRecord(bytes));
    wake();
  }).catch(() => {}).finally(() => { // How it ends is no matter here.
    ended = true;
    wake();
  });
  return async () => {
    while (waiting.length === 0) {
      if (ended) throw new Error("the path has ended");
      await new Promise<void>((resolve) => wake = resolve);
    }
    return waiting.shift()!;
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 0));
}

function code(error: unknown): string {
  return error instanceof TunnelError ? error.code : String(error);
}

const bytes = (value: string) => new TextEncoder().encode(value);
const text = (value: Uint8Array | null) => new TextDecoder().decode(value!);
