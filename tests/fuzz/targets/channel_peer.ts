/** One end of a channel whose peer says anything, judged by a model of what it may say. */

import { concat } from "../../../core/bytes.ts";
import { WindowBudget } from "../../../core/channel/budget.ts";
import { Channel } from "../../../core/channel/channel.ts";
import {
  dataHeader,
  encodeAck,
  encodeDone,
  encodeFin,
  encodeReset,
} from "../../../core/channel/record.ts";
import { TunnelError } from "../../../core/errors.ts";
import { Random } from "../../random.ts";
import { ChannelModel, OURS, THEIRS } from "../channel_model.ts";
import { must, same } from "../expect.ts";
import { FakePath, isEqual, sequence } from "../fake_path.ts";
import { turn } from "../turns.ts";
import { mutate } from "../mutate.ts";
import { Tape, type Target } from "../target.ts";
import { anyRecord } from "./records.ts";

/** Bytes that the receive window may grow to. */
const MAX_WINDOW = 512 * 1024;
/** Decisions of a script at most; they take longer than the bytes they are read from. */
const MAX_STEPS = 80;

export const channelPeer: Target = {
  name: "channel:peer",
  iterations: 400,
  make: (random) => random.bytes(random.below(300)),
  async check(input) {
    const script = new Script(new Tape(input));
    for (let step = 0; step < MAX_STEPS && !script.over; step++) await script.step();
    await script.end();
  },
};

class Script {
  readonly #tape: Tape;
  readonly #model = new ChannelModel(MAX_WINDOW);
  readonly #channel: Channel;
  #path = new FakePath();
  #writing = false;
  /** Reads and writes of the application's that may wait. */
  readonly #pending: Promise<unknown>[] = [];
  #reading = false;
  #outcome?: string;
  #released = false;

  constructor(tape: Tape) {
    this.#tape = tape;
    this.#channel = new Channel({
      maxWindow: MAX_WINDOW,
      maxReplay: 1_048_576,
      budget: new WindowBudget(),
    });
    this.#channel.closed.then(() => this.#outcome = "done", (error) => this.#outcome = error.code);
    this.#channel.released.then(() => this.#released = true);
    this.#channel.attach(this.#path.path, 0);
    this.#model.attached(0);
  }

  get over(): boolean {
    return this.#tape.ended || this.#released;
  }

  async step(): Promise<void> {
    const tape = this.#tape;
    const model = this.#model;
    const kind = tape.byte() % 20;
    if (kind < 7) this.#say(this.#likely(kind));
    else if (kind === 7) this.#say(mutate(this.#likely(tape.byte() % 7), this.#random()));
    else if (kind === 8) this.#say(anyRecord(this.#random()));
    else if (kind < 13) this.#read();
    else if (kind < 16) this.#write(tape.pick([1, 100, 40_000, 70_000]));
    else if (kind === 16) this.#close();
    else if (kind === 17 && tape.chance(4)) this.#reset();
    else if (kind === 18) this.#attach(tape.chance(8) ? model.highest + 1 : this.#position());
    else this.#path.lose();
    await turn();
    this.#hear();
  }

  /** The application reads what is there; then everybody leaves, and nothing is left waiting. */
  async end(): Promise<void> {
    const model = this.#model;
    for (let left = 2_000; !model.broken && model.read < model.got; left--) {
      must(left > 0, "what has come is not given out");
      this.#read();
      await turn();
      this.#hear();
    }
    if (model.broken === "violation") same(this.#outcome, "protocol", "how a violation ends");
    else if (model.broken) same(this.#outcome, "reset", "how a reset ends");
    else same(this.#outcome, model.complete ? "done" : undefined, "how it has ended");
    const error = new TunnelError("reset", { action: "fuzz", state: "the script is over" });
    this.#channel.abandon(error);
    await Promise.all(this.#pending);
    await this.#channel.released;
    await turn();
    must(this.#outcome !== undefined, "the channel never closed");
  }

  /** A record of the kind that is likely to be legal. */
  #likely(kind: number): Uint8Array {
    const tape = this.#tape;
    const model = this.#model;
    switch (kind) {
      case 3:
        return tape.chance(3) ? encodeFin(model.got) : encodeAck(this.#position(), model.limit);
      case 4:
        return encodeAck(this.#position(), model.limit + tape.pick([0, 1, 5_000, 300_000]));
      case 5:
        return tape.chance(4) ? encodeReset(tape.byte(), "enough") : this.#data(1, 0);
      case 6:
        return model.complete || model.broken || tape.chance(8) ? encodeDone() : this.#data(9, 4);
      default: {
        const room = Math.max(1, model.credit - model.got);
        const length = Math.min(tape.pick([1, 700, 130_944]), room);
        return this.#data(length, tape.chance(4) ? tape.below(model.got + 1) : 0);
      }
    }
  }

  /** Bytes of the direction, some of which may have been sent before. */
  #data(length: number, before: number): Uint8Array {
    const model = this.#model;
    const from = model.got - Math.min(before, model.got);
    const blocked = from + length === model.credit;
    return concat([dataHeader(from, blocked), sequence(from, length, THEIRS)]);
  }

  /** One that the peer may have received up to. */
  #position(): number {
    const { confirmed, highest } = this.#model;
    const tape = this.#tape;
    return confirmed + tape.pick([0, highest - confirmed, tape.below(highest - confirmed + 1)]);
  }

  #random(): Random {
    return new Random(this.#tape.below(65_536));
  }

  #say(record: Uint8Array): void {
    // What a lost path still had to say reaches nobody, and a sealed record is never empty.
    if (this.#path.closed || record.length === 0) return;
    // Altered bytes of DATA are as authentic as any: they are given out as they came.
    const known = (record[0]! & 0x7f) !== 0 || this.#isOfSequence(record);
    if (!known) return;
    this.#model.take(record);
    this.#path.deliver(record);
  }

  /** Whether DATA that would be taken has the bytes that the script will look for. */
  #isOfSequence(record: Uint8Array): boolean {
    if (record.length < 9) return true;
    const from = Number(new DataView(record.buffer, record.byteOffset).getBigUint64(1));
    const { got } = this.#model;
    const end = from + record.length - 9;
    return from > got || end <= got ||
      isEqual(record.subarray(9), sequence(from, record.length - 9, THEIRS));
  }

  /** Holds what the channel has sent to the rules. */
  #hear(): void {
    const model = this.#model;
    for (const record of this.#path.sent.splice(0)) model.check(record);
    if (this.#path.closed) return;
    if (model.broken || model.complete) must(model.lastSent !== undefined, "no last word came");
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    const model = this.#model;
    const reading = this.#channel.read().then((bytes) => {
      this.#reading = false;
      if (bytes === null) return must(model.ended && model.read === model.got, "an early end");
      must(!model.broken, "bytes behind a reset");
      must(isEqual(bytes, sequence(model.read, bytes.length, THEIRS)), `bytes at ${model.read}`);
      model.read += bytes.length;
      must(model.read <= model.got, "more was read than had come");
    }, (error) => {
      this.#reading = false;
      must(error instanceof TunnelError, `read failed with ${error}`);
    });
    this.#pending.push(reading);
  }

  #write(length: number): void {
    const model = this.#model;
    if (model.closed || model.broken || this.#writing) return;
    this.#writing = true;
    const from = model.written;
    model.written += length;
    const writing = this.#channel.write(sequence(from, length, OURS)).catch((error) => {
      must(error instanceof TunnelError, `write failed with ${error}`);
    });
    this.#pending.push(writing.then(() => this.#writing = false));
  }

  #close(): void {
    const model = this.#model;
    if (model.closed || model.broken || this.#writing) return;
    model.closed = true;
    this.#pending.push(this.#channel.closeWrite());
  }

  #reset(): void {
    const model = this.#model;
    if (!model.broken && !model.complete) model.broken = "reset here";
    this.#channel.reset(new TunnelError("reset", { action: "fuzz", state: "enough" }));
  }

  #attach(position: number): void {
    const path = new FakePath();
    this.#path = path;
    this.#model.attached(position);
    this.#channel.attach(path.path, position);
  }
}
