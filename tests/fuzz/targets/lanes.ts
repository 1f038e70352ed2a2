/** A stream that goes on over lanes, from a peer that opens, fills and ends them in any order. */

import { Buffer } from "node:buffer";
import { BlockReader } from "../../../core/block_reader.ts";
import { LANES, LEAST_CARRIED, TURN } from "../../../core/lanes.ts";
import { encodeHeader, Kind } from "../../../transports/quic_lane_header.ts";
import { LaneDesk } from "../../../transports/quic_lanes.ts";
import { Leftovers } from "../../leftovers.ts";
import { Random } from "../../random.ts";
import { must } from "../expect.ts";
import { FakeStream } from "../fake_quic.ts";
import { mutate } from "../mutate.ts";
import { Tape, type Target } from "../target.ts";
import { turn, until } from "../turns.ts";

const ID = 4n;
const HEADER = 18;
/** What is behind the place from which lanes carry: nothing, a part of a turn, several rounds. */
const BEHIND = [0, 1, TURN - 1, TURN, TURN + 1, 5 * TURN, 9 * TURN + 7];
/** What every direction says, from its beginning. */
const CONTENT = new Random(1).bytes(LEAST_CARRIED + 77_777 + Math.max(...BEHIND));

export const lanes: Target = {
  name: "lanes:reader",
  iterations: 1_000,
  make: (random) => random.bytes(random.below(160)),
  async check(input) {
    using leftovers = new Leftovers();
    const tape = new Tape(input);
    const peer = new Peer(tape);
    const reading = peer.readAll();
    while (!tape.ended && !peer.isOver) {
      peer.act();
      if (tape.chance(2)) await turn();
    }
    if (peer.keepsRules) {
      peer.finish();
      await until(() => peer.isRead, "a direction does not end whose peer keeps the rules");
      must(peer.misuse === undefined, `${peer.misuse}, of a peer that keeps the rules`);
      must(peer.isCancelled || peer.received === peer.total, `${peer.received} of ${peer.total}`);
    }
    if (peer.mustBeMisuse) await until(() => peer.isOver, "nobody minds what is no lane");
    peer.lose();
    await until(() => peer.isRead, "a direction outlives its session");
    await reading;
    await until(() => leftovers.timers === 0, () => `${leftovers.timers} timers are left`);
  },
};

/** The end that writes, and the session between it and the reader under test. */
class Peer {
  readonly total: number;
  misuse: string | undefined;
  /** Nothing that it has said so far is what no peer says. */
  keepsRules = true;
  mustBeMisuse = false;
  received = 0;
  isRead = false;
  isCancelled = false;
  readonly #tape: Tape;
  readonly #position: number;
  readonly #stream = new FakeStream(ID);
  readonly #others: FakeStream[] = [];
  readonly #lanes: Lane[] = [];
  readonly #desk: LaneDesk;
  readonly #reader: BlockReader;
  #said = 0;
  #isLost = false;

  constructor(tape: Tape) {
    this.#tape = tape;
    this.#position = LEAST_CARRIED + tape.pick([0, 1, 77_777]);
    this.total = this.#position + tape.pick(BEHIND);
    const isTaken = !tape.chance(4);
    this.#desk = new LaneDesk({
      createUnidirectionalStream: () => {
        const stream = new FakeStream(0n);
        this.#others.push(stream);
        // The peer may have no room for a word about its lanes, ever.
        return isTaken ? Promise.resolve(stream.writable) : new Promise(() => {});
      },
    }, (reason) => this.#refuse(reason));
    const { open, watch } = this.#desk.of(ID);
    const { readable } = this.#stream;
    this.#reader = new BlockReader({ readable, lanes: { way: { waiting: 0 }, open, watch } });
  }

  get isOver(): boolean {
    return this.#isLost;
  }

  /** Whatever comes is what was said, in order, to the end or a failure. */
  async readAll(): Promise<void> {
    try {
      for (let block; (block = await this.#next()) !== null; this.received += block.length) {
        const said = CONTENT.subarray(this.received, this.received + block.length);
        must(!this.keepsRules || equal(block, said), `other bytes behind ${this.received}`);
      }
    } finally {
      this.isRead = true;
    }
  }

  /** Does as the tape says. */
  act(): void {
    const tape = this.#tape;
    switch (tape.byte() % 12) {
      case 0:
        return this.#openLane(tape.byte() % LANES);
      case 1:
        return this.#openAltered();
      case 2:
        return this.#word(tape.byte());
      case 3:
        if (tape.chance(8)) this.#cancel();
        return;
      case 4:
        return this.#breakOff();
      case 5:
        this.#openLane(this.#lanes.length % LANES);
        return this.#carry(this.#lanes.at(-1)!, tape.below(2 * TURN));
      case 6:
      case 7:
        if (this.#lanes.length > 0) this.#carry(tape.pick(this.#lanes), tape.below(2 * TURN));
        return;
      default:
        return this.#say(tape.below(65_536) * 8);
    }
  }

  /** Says what is yet to be said of all that there is, and ends it. */
  finish(): void {
    this.#say(Infinity);
    for (let index = 0; index < LANES; index++) this.#openLane(index);
    for (const lane of this.#lanes) {
      this.#carry(lane, Infinity);
      lane.stream.end();
    }
  }

  /** The session ends. */
  lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#desk.close();
    for (const stream of [this.#stream, ...this.#others]) stream.fail(new Error("timed out"));
  }

  async #next(): Promise<Uint8Array | null> {
    try {
      return await this.#reader.read();
    } catch (cause) {
      // Only what the session or the peer has made fail may.
      if (this.#isLost || !this.keepsRules) return null;
      throw cause;
    }
  }

  #refuse(reason: string): void {
    this.misuse ??= reason;
    this.lose();
  }

  #say(most: number): void {
    const bytes = CONTENT.subarray(this.#said, Math.min(this.#position, this.#said + most));
    this.#stream.say(bytes);
    this.#said += bytes.length;
  }

  /** One of the four; once. */
  #openLane(index: number): void {
    if (this.#lanes.some((lane) => lane.index === index)) return;
    const stream = this.#take();
    const header = encodeHeader({ kind: Kind.lane, index, id: ID, position: this.#position });
    const cut = this.#tape.below(HEADER + 1);
    for (const part of [header.subarray(0, cut), header.subarray(cut)]) stream.say(part);
    this.#lanes.push({ stream, index, said: 0 });
  }

  /** The next bytes of a lane: every fourth turn of those behind the position. */
  #carry(lane: Lane, most: number): void {
    for (let left = most; left > 0;) {
      const turns = Math.floor(lane.said / TURN) * LANES + lane.index;
      const from = this.#position + turns * TURN + lane.said % TURN;
      const length = Math.min(left, TURN - lane.said % TURN, this.total - from);
      if (length <= 0) return;
      lane.stream.say(CONTENT.subarray(from, from + length));
      lane.said += length;
      left -= length;
    }
  }

  /** A stream that begins with something like a header. */
  #openAltered(): void {
    const tape = this.#tape;
    const random = new Random(tape.below(65_536));
    const kind = tape.pick([Kind.lane, Kind.known]);
    const position = LEAST_CARRIED + tape.pick([0, -1, 5]);
    const header = { kind, index: tape.byte() % 6, id: BigInt(tape.pick([0, 4, 8])), position };
    const bytes = mutate(encodeHeader(header), random);
    const stream = this.#take();
    stream.say(bytes);
    if (tape.chance(2)) stream.end();
    if (bytes.length < HEADER || bytes[0] === Kind.known) return;
    this.keepsRules = false;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    if (bytes[0] !== Kind.lane || bytes[1]! >= LANES) this.mustBeMisuse = true;
    if (view.getBigUint64(10) < BigInt(LEAST_CARRIED)) this.mustBeMisuse = true;
  }

  /** A word about lanes that this end may or may not have. */
  #word(id: number): void {
    const stream = this.#take();
    stream.say(encodeHeader({ kind: Kind.known, index: 0, id: BigInt(id), position: 0 }));
    stream.end();
  }

  #breakOff(): void {
    const tape = this.#tape;
    if (!tape.chance(8)) return;
    const stream = tape.pick([this.#stream, ...this.#others]);
    this.keepsRules = false;
    if (tape.chance(2)) stream.reset();
    else stream.end();
  }

  #cancel(): void {
    this.isCancelled = true;
    this.#reader.cancel();
  }

  #take(): FakeStream {
    const stream = new FakeStream(0n);
    this.#others.push(stream);
    this.#desk.take(stream.readable);
    return stream;
  }
}

interface Lane {
  readonly stream: FakeStream;
  readonly index: number;
  said: number;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
