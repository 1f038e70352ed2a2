/** Both ends of a channel over paths that are slow, lost and replaced: every byte arrives, once. */

import { WindowBudget } from "../../../core/channel/budget.ts";
import { Channel } from "../../../core/channel/channel.ts";
import { TunnelError } from "../../../core/errors.ts";
import { must, same } from "../expect.ts";
import { FakePath, isEqual, sequence } from "../fake_path.ts";
import { turn } from "../turns.ts";
import { Tape, type Target } from "../target.ts";

/** Decisions of a script at most. */
const MAX_STEPS = 120;
/** Rounds in which two ends that are left alone must come to their end. */
const MAX_ROUNDS = 500;
/** Bytes that an end holds: as few as it may. */
const MAX_REPLAY = 1_048_576;

export const channelPair: Target = {
  name: "channel:pair",
  iterations: 120,
  make: (random) => random.bytes(random.below(400)),
  async check(input) {
    const tape = new Tape(input);
    const ends = [new End(1), new End(2)] as const;
    attach(ends);
    for (let step = 0; step < MAX_STEPS && !tape.ended; step++) {
      const at = tape.below(2);
      const [end, other] = [ends[at]!, ends[1 - at]!];
      const kind = tape.byte() % 16;
      if (kind < 6) end.deliver(other, 1 + tape.below(4));
      else if (kind < 9) end.write(tape.pick([1, 3_000, 130_944, 150_000, 1_500_000]));
      else if (kind < 13) end.read(other);
      else if (kind === 13 && tape.chance(3)) end.close();
      else if (kind === 14) attach(ends);
      else if (kind === 15) lose(ends);
      await turn();
    }
    await finish(ends);
  },
};

class End {
  readonly channel: Channel;
  readonly #seed: number;
  path = new FakePath();
  written = 0;
  got = 0;
  closed = false;
  ended = false;
  #writing?: Promise<unknown>;
  #reading?: Promise<unknown>;

  constructor(seed: number) {
    this.#seed = seed;
    this.channel = new Channel({
      maxReplay: MAX_REPLAY,
      budget: new WindowBudget(),
      announce: seed === 1,
    });
    this.channel.closed.catch(() => {}); // Looked at in the end.
  }

  /** Hands some of what this end has sent to the other. */
  deliver(other: End, records: number): void {
    for (const record of this.path.sent.splice(0, records)) {
      must(record[0] !== 2, `a RESET came: ${new TextDecoder().decode(record.subarray(3))}`);
      other.path.deliver(record);
    }
  }

  write(length: number): void {
    if (this.closed || this.#writing) return;
    const bytes = sequence(this.written, length, this.#seed);
    this.written += length;
    this.#writing = this.channel.write(bytes).then(() => this.#writing = undefined);
  }

  close(): void {
    if (this.closed || this.#writing) return;
    this.closed = true;
    this.channel.closeWrite();
  }

  read(other: End): void {
    if (this.#reading || this.ended) return;
    this.#reading = this.channel.read().then((bytes) => {
      this.#reading = undefined;
      if (bytes === null) {
        same(this.got, other.written, "the bytes in front of an end");
        must(other.closed, "an end that nobody has made");
        this.ended = true;
      } else {
        const expected = sequence(this.got, bytes.length, other.#seed);
        must(isEqual(bytes, expected), `the bytes from ${this.got} on`);
        this.got += bytes.length;
      }
    });
  }
}

type Ends = readonly [End, End];

/** A new path, on which each says what it has received; what was under way on the one before is lost. */
function attach(ends: Ends): void {
  const positions = ends.map(({ channel }) => channel.received);
  ends.forEach((end, at) => {
    end.path = new FakePath();
    end.channel.attach(end.path.path, positions[1 - at]!);
  });
}

function lose(ends: Ends): void {
  for (const { path } of ends) path.lose();
}

/** Left alone on a good path, both ends read, write, end, and know that they have. */
async function finish(ends: Ends): Promise<void> {
  const [a, b] = ends;
  const over = Promise.all(ends.map(({ channel }) => channel.closed)).then(() => true);
  let isOver = false;
  over.then(() => isOver = true, () => {}); // A failure shows below.
  const isReleased = ends.map(() => false);
  ends.forEach(({ channel }, at) => channel.released.then(() => isReleased[at] = true));
  await turn();
  // One end may have gone in order and the other not have heard it: the device is told on a new path.
  if (!isReleased.includes(true)) attach(ends);
  for (let round = 0; !(isOver && a.ended && b.ended); round++) {
    must(
      round < MAX_ROUNDS,
      `they come to no end: ${a.got} of ${b.written}, ${b.got} of ${a.written}`,
    );
    for (const [end, other] of [[a, b], [b, a]] as const) {
      end.close();
      end.read(other);
      end.deliver(other, 10);
    }
    // Some ACKs wait for company, by a timer.
    if (round % 16 < 15) await turn();
    else await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await over;
  const error = new TunnelError("reset", { action: "fuzz", state: "the script is over" });
  for (const { channel } of ends) channel.abandon(error);
}
