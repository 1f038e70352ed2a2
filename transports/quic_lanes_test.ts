/** Lanes over QUIC connections: what is written arrives, and what no peer sends ends the session. */

import { setImmediate } from "node:timers";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { Leftovers } from "../tests/leftovers.ts";
import { sessionPair } from "../tests/network_fixture.ts";
import { newSeed, Random } from "../tests/random.ts";
import { BlockReader } from "../core/block_reader.ts";
import { concat } from "../core/bytes.ts";
import { LaneWriter } from "../core/lane_writer.ts";
import { LANES, LEAST_CARRIED, type OutgoingLanes, TURN } from "../core/lanes.ts";
import type { Session, Stream } from "../core/transport.ts";
import { quic } from "./quic.ts";
import { LaneDesk } from "./quic_lanes.ts";

const test = suite("lanes over QUIC");

test("both directions of a stream go on over lanes, again and again", async () => {
  await using ground = await Ground.make();
  const random = new Random(newSeed());
  for (let round = 0; round < 12; round++) {
    const { near, far } = await ground.stream();
    const lengths = [0, 1 + random.below(TURN), random.below(6 * LANES * TURN)];
    await bounded(
      "both directions",
      Promise.all([
        carry(near, far, random.pick(lengths), random),
        carry(far, near, random.pick(lengths), random),
      ]),
    );
  }
});

test("a session has lanes for one stream at a time, each way", async () => {
  await using ground = await Ground.make();
  const [one, two] = [await ground.stream(), await ground.stream()];
  const first = (await one.near.lanes!.open())!;
  assert.is(await two.near.lanes!.open(), undefined);
  const other = (await two.far.lanes!.open())!;
  first.drop();
  other.drop();
  for (const stream of [two.near, one.far]) (await bounded("lanes", lanesOf(stream))).drop();
});

test("a stream that is read by nobody holds no lanes", async () => {
  await using ground = await Ground.make();
  const random = new Random(newSeed());
  const { near, far } = await ground.stream();
  const reader = new BlockReader(far);
  const writer = near.writable.getWriter();
  const writing = writer.write(random.bytes(LEAST_CARRIED));
  let count = 0;
  while (count < LEAST_CARRIED) count += (await bounded("bytes", reader.read()))!.length;
  await writing;
  const lanes = (await near.lanes!.open())!;
  lanes.begin(LEAST_CARRIED);
  const wide = new LaneWriter(lanes, writer);
  await wide.write(random.bytes(10));
  assert.is((await bounded("what came by a lane", reader.read()))!.length, 10);
  await reader.cancel();
  const stuck = (async () => {
    for (;;) await wide.write(random.bytes(TURN));
  })();
  assert.ok(await bounded("the writer's failure", stuck.then(() => false, () => true)));
  wide.abort(undefined);
  const next = await ground.stream();
  await bounded("another stream's", carry(next.near, next.far, 3 * TURN, random));
});

for (
  const [what, header] of [
    ["of a kind that there is none of", headerOf({ kind: 7 })],
    ["a lane beyond the last", headerOf({ index: LANES })],
    ["a lane for what a stream carries by itself", headerOf({ position: LEAST_CARRIED - 1 })],
  ] as const
) {
  test(`a unidirectional stream that is ${what} is misuse`, async () => {
    const misuse = Promise.withResolvers<string>();
    const desk = new LaneDesk(nothing, misuse.resolve);
    desk.take(streamOf(header));
    assert.match(await bounded("the word", misuse.promise), /unidirectional/);
  });
}

test("so is a lane that comes twice, or has another position than the others", async () => {
  for (const second of [{ index: 0 }, { index: 1, position: LEAST_CARRIED + 1 }]) {
    const misuse = Promise.withResolvers<string>();
    const desk = new LaneDesk(nothing, misuse.resolve);
    for (const header of [{}, second]) desk.take(streamOf(headerOf(header)));
    await bounded("the word", misuse.promise);
    desk.close();
  }
});

test("so is a peer that takes no word about its lanes, and opens more and more", async () => {
  const misuse = Promise.withResolvers<string>();
  const conn = { createUnidirectionalStream: () => new Promise<never>(() => {}) };
  const desk = new LaneDesk(conn, misuse.resolve);
  for (let id = 0; id < 17; id++) {
    desk.of(BigInt(id)).watch(() => {});
    for (let index = 0; index < LANES; index++) desk.take(streamOf(headerOf({ index, id })));
  }
  assert.match(await bounded("the word", misuse.promise), /no room/);
  desk.close();
});

test("lanes that nobody wants, and waits, end with the session", async () => {
  using leftovers = new Leftovers();
  const before = leftovers.timers;
  const desk = new LaneDesk(nothing, () => assert.unreachable());
  await desk.take(streamOf(headerOf({})));
  assert.is(leftovers.timers, before + 1);
  desk.close();
  assert.is(leftovers.timers, before);
});

test("a lane that comes as the session ends is waited for by nobody", async () => {
  using leftovers = new Leftovers();
  const before = leftovers.timers;
  const desk = new LaneDesk(nothing, () => assert.unreachable());
  const taking = desk.take(streamOf(headerOf({})));
  desk.close();
  await bounded("it", taking);
  assert.is(leftovers.timers, before);
});

test("a unidirectional stream that ends before it has said what it is for is nothing", async () => {
  const desk = new LaneDesk(nothing, () => assert.unreachable());
  for (const length of [0, 1, 17]) await bounded("it", desk.take(streamOf(new Uint8Array(length))));
});

test.run();

/** Two ends of a session, the relay's a member's. */
class Ground implements AsyncDisposable {
  readonly #client: Session;
  readonly #server: Session;
  readonly #dispose: () => Promise<void>;

  static async make(): Promise<Ground> {
    const pair = await sessionPair(quic);
    return new Ground(pair.client, pair.server, async () => await pair[Symbol.asyncDispose]());
  }

  constructor(client: Session, server: Session, dispose: () => Promise<void>) {
    this.#client = client;
    this.#server = server;
    this.#dispose = dispose;
    server.welcome?.();
  }

  /** Both ends of a stream that the client has opened, after a byte of it. */
  async stream(): Promise<{ near: Stream; far: Stream }> {
    const near = await this.#client.openStream();
    const writer = near.writable.getWriter();
    const said = writer.write(Uint8Array.of(1));
    const far = (await this.#server.incoming.next()).value!;
    await said;
    writer.releaseLock();
    const reader = far.readable.getReader({ mode: "byob" });
    await reader.read(new Uint8Array(1));
    reader.releaseLock();
    return { near, far };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose();
  }
}

/** Sends what a stream carries before it goes on over lanes, and so many bytes by them. */
async function carry(from: Stream, to: Stream, more: number, random: Random): Promise<void> {
  const position = LEAST_CARRIED + random.below(TURN);
  const sent = random.bytes(position + more);
  const reader = new BlockReader(to);
  const receiving = (async () => {
    const blocks: Uint8Array[] = [];
    for (let block; (block = await reader.read()) !== null;) blocks.push(block.slice());
    return concat(blocks);
  })();
  const writer = from.writable.getWriter();
  await writer.write(sent.subarray(0, position));
  const lanes = await lanesOf(from);
  lanes.begin(position);
  const wide = new LaneWriter(lanes, writer);
  for (let at = position; at < sent.length;) {
    const part = sent.subarray(at, at + 1 + random.below(2 * TURN));
    await wide.write(part);
    at += part.length;
  }
  await wide.close();
  const got = await receiving;
  assert.is(got.length, sent.length);
  assert.is(got.findIndex((byte, i) => byte !== sent[i]), -1);
}

/** As soon as the peer has seen that those before are used no more. */
async function lanesOf(stream: Stream): Promise<OutgoingLanes> {
  for (;;) {
    const lanes = await stream.lanes!.open();
    if (lanes) return lanes;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function headerOf({ kind = 0, index = 0, id = 4, position = LEAST_CARRIED }): Uint8Array {
  const header = new Uint8Array(18);
  header.set([kind, index]);
  const view = new DataView(header.buffer);
  view.setBigUint64(2, BigInt(id));
  view.setBigUint64(10, BigInt(position));
  return header;
}

const nothing = { createUnidirectionalStream: () => Promise.reject(new Error("none is wanted")) };

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}
