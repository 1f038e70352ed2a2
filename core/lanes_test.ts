/** A direction of a stream that goes on over lanes reads as if it had not. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { failure } from "../tests/failure.ts";
import { newSeed, Random } from "../tests/random.ts";
import { BlockReader } from "./block_reader.ts";
import { ByteWriter } from "./byte_writer.ts";
import { LaneWriter } from "./lane_writer.ts";
import {
  type IncomingLanes,
  LANES,
  type Lanes,
  LEAST_CARRIED,
  type OutgoingLanes,
  Stalls,
  TURN,
} from "./lanes.ts";
import { concat } from "./bytes.ts";

const test = suite("lanes");

const PLACES = [
  LEAST_CARRIED,
  LEAST_CARRIED + 1,
  LEAST_CARRIED + 77_777,
];
for (const position of PLACES) {
  for (const more of [0, 1, TURN - 1, TURN, TURN + 1, LANES * TURN, 3_000_001]) {
    test(`${position} bytes by the stream and ${more} by lanes are as they were written`, async () => {
      const random = new Random(newSeed());
      const ground = new Ground();
      const sent = random.bytes(position + more);
      const receiving = ground.readAll();
      await ground.writeAll(sent.subarray(0, position), random);
      const lanes = ground.open(position);
      const writing = ground.writeAll(sent.subarray(position), random, lanes)
        .then(() => lanes.close());
      // The reader may come to know of them early or late.
      for (let turns = random.below(100); turns > 0; turns--) await null;
      ground.tell();
      assert.is(difference(await bounded("the bytes", receiving), sent), 0);
      await bounded("the end", writing);
    });
  }
}

test("the stream does not end before the peer knows of its lanes", async () => {
  const ground = new Ground();
  const receiving = ground.readAll();
  const random = new Random(newSeed());
  const sent = random.bytes(LEAST_CARRIED);
  await ground.writeAll(sent, random);
  const lanes = ground.open(LEAST_CARRIED);
  await bounded("the end", lanes.close());
  ground.tell();
  assert.is((await bounded("the bytes", receiving)).length, LEAST_CARRIED);
});

test("what is given up at either end is given up at the other", async () => {
  for (const who of ["reader", "writer"] as const) {
    const ground = new Ground();
    const random = new Random(newSeed());
    const reading = ground.readAll(LEAST_CARRIED + 5);
    await ground.writeAll(random.bytes(LEAST_CARRIED), random);
    const lanes = ground.open(LEAST_CARRIED);
    ground.tell();
    await lanes.write(random.bytes(5));
    await bounded("the first of them", reading);
    if (who === "reader") {
      await ground.reader.cancel();
      const writing = (async () => {
        for (;;) await lanes.write(new Uint8Array(TURN));
      })();
      assert.ok(await bounded("the failure", writing.then(() => false, () => true)));
    } else {
      lanes.abort(new Error("no more"));
      const end = ground.reader.read().then((block) => block === null, () => true);
      assert.ok(await bounded("the end", end));
    }
  }
});

test("lanes for what has come already break the rules", async () => {
  const ground = new Ground();
  const random = new Random(newSeed());
  const writing = ground.writeAll(random.bytes(LEAST_CARRIED + 1), random);
  await bounded("the bytes", ground.readAll(LEAST_CARRIED + 1));
  await writing;
  const reading = failure(() => ground.reader.read());
  ground.open(LEAST_CARRIED);
  ground.tell();
  assert.is((await bounded("the failure", reading)).code, "protocol");
});

test("a reader looks for lanes before the writer may open any, and no longer than it reads", async () => {
  const ground = new Ground();
  const random = new Random(newSeed());
  const writing = ground.writeAll(random.bytes(LEAST_CARRIED / 4 - 1), random);
  await ground.readAll(LEAST_CARRIED / 4 - 1);
  await writing;
  assert.is(ground.watched, 0);
  const more = ground.writeAll(random.bytes(LEAST_CARRIED / 4), random);
  await ground.readAll(LEAST_CARRIED / 4);
  await more;
  assert.is(ground.watched, 1);
  await ground.reader.cancel();
  assert.is(ground.unwatched, 1);
});

test("a direction goes on over lanes once its writes wait nearly all the time", () => {
  let stalls = new Stalls();
  let now = 0;
  const note = (took: number) => stalls.note(now += took, took);
  for (let i = 0; i < 1_000; i++) assert.is(note(19), false);
  assert.equal(Array.from({ length: 26 }, () => note(20)).indexOf(true), 9);
  stalls = new Stalls();
  // Spread over seconds it is not the stream that holds them up.
  for (let i = 0; i < 100; i++) {
    now += 400;
    assert.is(note(30), false);
  }
});

for (
  const [so, hasLanes, others] of [
    ["goes on over lanes", true, 0],
    ["goes on as before, there being no lanes", false, 0],
    ["goes on as before where another stream's do, too", true, 1],
  ] as const
) {
  test(`a writer whose writes wait ${so}`, async () => {
    const random = new Random(newSeed());
    const sent = random.bytes(LEAST_CARRIED + 4 * TURN);
    // Every write takes half of what is too long.
    let now = 0;
    const { now: real } = performance;
    performance.now = () => now += 100;
    try {
      const ground = new Ground();
      const way = { waiting: others };
      const asked: string[] = [];
      const note = (position: number) => void asked.push(`${position}`);
      const open = () => {
        asked.push("open");
        return Promise.resolve(hasLanes ? ground.outgoing(note) : undefined);
      };
      const lanes: Lanes = { way, open, watch: () => () => {} };
      const writer = new ByteWriter({ writable: ground.stream.writable, lanes });
      const receiving = ground.readAll();
      ground.tell();
      for (let at = 0; at < sent.length; at += TURN) {
        await bounded("a write", writer.write(sent.subarray(at, at + TURN)));
      }
      await bounded("the end", writer.close());
      assert.is(difference(await bounded("the bytes", receiving), sent), 0);
      // Of twelve writes every second tells; but a stream has to have carried something.
      const opened = hasLanes ? ["open", `${LEAST_CARRIED}`] : ["open", "open", "open"];
      assert.equal(asked, others ? [] : opened);
      assert.is(way.waiting, others);
    } finally {
      performance.now = real;
    }
  });
}

test.run();

/** A direction of a stream with its lanes, whose reader learns of them when the test wants it. */
class Ground {
  readonly stream = bytePipe();
  readonly reader: BlockReader;
  watched = 0;
  unwatched = 0;
  readonly #lanes = Array.from({ length: LANES }, () => bytePipe());
  readonly #known = Promise.withResolvers<void>();
  #watcher: ((opened: IncomingLanes) => void) | undefined;
  #position: number | undefined;
  #isTold = false;
  #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;

  constructor() {
    const lanes: Lanes = {
      way: { waiting: 0 },
      open: () => Promise.reject(new Error("of the other direction")),
      watch: (onOpened) => {
        this.watched++;
        this.#watcher = onOpened;
        this.#handOver();
        return () => {
          this.unwatched++;
        };
      },
    };
    this.reader = new BlockReader({ readable: this.stream.readable, lanes });
  }

  get writer(): WritableStreamDefaultWriter<Uint8Array> {
    return this.#writer ??= this.stream.writable.getWriter();
  }

  outgoing(onBegin: (position: number) => void = () => {}): OutgoingLanes {
    const writers = this.#lanes.map(({ writable }) => writable.getWriter());
    return {
      writers,
      known: this.#known.promise,
      begin: (position) => {
        this.#position = position;
        this.#handOver();
        onBegin(position);
      },
      end: () => {},
      drop: () => writers.forEach((writer) => writer.abort().catch(() => {})),
    };
  }

  open(position: number): LaneWriter {
    const lanes = this.outgoing();
    lanes.begin(position);
    return new LaneWriter(lanes, this.writer);
  }

  /** Lets the reader know of the lanes, once it looks for them. */
  tell(): void {
    this.#isTold = true;
    this.#handOver();
  }

  async writeAll(bytes: Uint8Array, random: Random, to: Pick<LaneWriter, "write"> = this.writer) {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + 1 + random.below(2 * TURN));
      await to.write(part);
      at += part.length;
    }
  }

  /** So many bytes, or all up to the end. */
  async readAll(length = Infinity): Promise<Uint8Array> {
    const blocks: Uint8Array[] = [];
    let count = 0;
    while (count < length) {
      const block = await this.reader.read();
      if (block === null) break;
      blocks.push(block.slice());
      count += block.length;
    }
    return concat(blocks);
  }

  #handOver(): void {
    if (!this.#isTold || this.#position === undefined || !this.#watcher) return;
    const watcher = this.#watcher;
    this.#watcher = undefined;
    watcher({ position: this.#position, readables: this.#lanes.map(({ readable }) => readable) });
    this.#known.resolve();
  }
}

/** A stream of bytes in memory, as a platform's: it is read into the reader's memory. */
function bytePipe(): {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
} {
  let controller!: ReadableByteStreamController;
  let room = Promise.withResolvers<void>();
  let failed: unknown;
  const readable = new ReadableStream({
    type: "bytes",
    start: (made) => void (controller = made),
    pull: () => room.resolve(),
    cancel(reason) {
      failed = reason ?? new Error("it is not read any more");
      room.resolve();
    },
  }, { highWaterMark: 64 * 1024 });
  const writable = new WritableStream<Uint8Array>({
    async write(bytes) {
      if (failed) throw failed;
      room = Promise.withResolvers();
      controller.enqueue(bytes.slice());
      if (controller.desiredSize! <= 0) await room.promise;
      if (failed) throw failed;
    },
    close() {
      if (failed) return;
      controller.close();
      controller.byobRequest?.respond(0);
    },
    abort(reason) {
      if (!failed) controller.error(reason);
    },
  });
  return { readable, writable };
}

/** Where they differ first, from 1; 0 where they do not. */
function difference(a: Uint8Array, b: Uint8Array): number {
  return a.length === b.length ? a.findIndex((byte, i) => byte !== b[i]) + 1 : -1;
}
