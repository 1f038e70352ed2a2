/**
 * Channels under fire: thousands of runs, each from a seed, in which paths are cut, delayed, altered,
 * replaced and doubled at random. Every run must deliver exactly what was sent, once and in order.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { drain, pour } from "../../tests/bytes.ts";
import { bounded } from "../../tests/conformance.ts";
import { keyPair, pathOver, streamPair } from "../../tests/paths.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { TunnelError } from "../errors.ts";
import type { Stream } from "../transport.ts";
import { Channel } from "./channel.ts";

const test = suite("channel under fire");
const RUNS = Number(Deno.env.get("TUNNEL_TEST_RUNS") ?? 2_000);

/** What happens to the chunks that pass a stream, in the order of their dice. */
const FAULTS = ["pass", "pass", "pass", "pass", "delay", "split", "cut", "flip", "repeat", "drop"];

test(`${RUNS} runs of cut, delayed, altered and doubled paths deliver every byte once`, async () => {
  const seed = newSeed();
  const counts = { paths: 0, bytes: 0, faults: 0 };
  for (let i = 0; i < RUNS; i += 20) {
    const runs = Array.from({ length: 20 }, (_, j) => run(seed + (i + j) * 101, counts));
    await bounded(`runs from seed ${seed + i * 101}`, Promise.all(runs));
  }
  console.log(
    `${RUNS} runs: ${counts.bytes} bytes over ${counts.paths} paths, ${counts.faults} faults`,
  );
  assert.ok(counts.faults > RUNS && counts.paths > 2 * RUNS);
});

test.run();

const gone = new TunnelError("gone", { action: "resume", state: "it is not known" });

async function run(seed: number, counts: { paths: number; bytes: number; faults: number }) {
  const random = new Random(seed);
  let calm = false;
  const wanted = new Event();
  const service = new Channel({ announce: true, onDetached: () => wanted.fire() });
  const device = new Channel();
  let [over, forgotten] = [false, false];
  service.released.then(() => {
    over = true;
    wanted.fire();
  });
  device.released.then(() => forgotten = true);
  const serviceBytes = random.below(random.below(12) ? 20_000 : 700_000);
  const deviceBytes = random.below(random.below(12) ? 20_000 : 700_000);
  const moving = Promise.all([
    pour(service, seed, serviceBytes),
    pour(device, seed + 9, deviceBytes),
    drain(device, seed),
    drain(service, seed + 9),
  ]);
  moving.catch(() => wanted.fire());
  const attach = async () => {
    if (over) return;
    // What a device answers that knows the channel no more, which it may only do in the end.
    if (forgotten) return service.abandon(gone);
    counts.paths++;
    const [nearKeys, farKeys] = keyPair();
    const fault = (): string => {
      const what = calm ? "pass" : random.pick(FAULTS);
      if (what !== "pass") counts.faults++;
      return what;
    };
    const [near, far] = await relayed(fault, random);
    // The positions are stated at different times, as in a handshake with a round trip.
    const fromService = service.received;
    if (random.below(2)) await turns(random.below(20));
    const fromDevice = device.received;
    device.attach(pathOver(far, farKeys), fromService);
    if (random.below(2)) await turns(random.below(20));
    service.attach(pathOver(near, nearKeys), fromDevice);
  };
  for (let attempt = 0; !over; attempt++) {
    calm = attempt > 12;
    const due = wanted.next();
    await attach();
    // Now and then a second path comes while the first is well.
    if (!calm && random.below(4) === 0) await attach();
    await due;
  }
  const [, , up, down] = await moving;
  assert.equal([up, down], [serviceBytes, deviceBytes]);
  await Promise.all([service.closed, device.closed]);
  counts.bytes += up + down;
}

/** Both ends of a stream through a relay that does to its chunks what `fault` says. */
async function relayed(fault: () => string, random: Random): Promise<[near: Stream, far: Stream]> {
  const one = await streamPair();
  const two = await streamPair();
  const cut = () => {
    one.session.lose();
    two.session.lose();
  };
  carry(one.far, two.near, fault, random, cut);
  carry(two.near, one.far, fault, random, cut);
  return [one.near, two.far];
}

async function carry(
  from: Stream,
  to: Stream,
  fault: () => string,
  random: Random,
  cut: () => void,
): Promise<void> {
  const writer = to.writable.getWriter();
  writer.closed.catch(() => {});
  try {
    for await (const chunk of from.readable) {
      const what = fault();
      if (what === "cut") return cut();
      if (what === "delay") await turns(random.below(30));
      if (what === "drop" || what === "flip") {
        // An altered length may have an end wait for bytes that never come: idle timeouts end that.
        turns(60).then(cut);
      }
      if (what === "drop") continue;
      if (what === "flip") chunk[random.below(chunk.length)]! ^= 1 << random.below(8);
      if (what === "split") {
        const at = random.below(chunk.length);
        await writer.write(chunk.slice(0, at));
        await writer.write(chunk.slice(at));
      } else {
        await writer.write(chunk);
      }
      if (what === "repeat") await writer.write(chunk);
    }
    await writer.close();
  } catch {
    // One side has gone; the other is to learn of it.
    cut();
  }
}

/** Waits for so many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Something that happens now and then, and is remembered until it was looked for. */
class Event {
  #fired = Promise.withResolvers<void>();

  fire(): void {
    this.#fired.resolve();
  }

  /** The next firing. */
  next(): Promise<void> {
    this.#fired = Promise.withResolvers();
    return this.#fired.promise;
  }
}
