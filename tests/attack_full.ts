/**
 * `deno task attack`: 1,000 attackers beside 50 tunnels that carry what they can, and what that costs
 * them. attack_test.ts is the short form of it.
 *
 * Attackers have machines of their own. Here they get a core of their own: relay, devices, services and
 * this process share the other one, with attackers and without.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { median } from "../bench/statistics.ts";
import { AttackGround, type Carried } from "./attack_ground.ts";
import { runToEnd } from "./processes.ts";
import { newSeed } from "./random.ts";
import { testWith } from "./require.ts";

const ATTACKERS = 1_000;
const TUNNELS = 50;
/** Milliseconds of each measurement; all are as long. */
const SPELL = 20_000;
/** Its median second counts: what else the machine does comes in bursts. */
const SLICES = 20;
/** Of their throughput, what the tunnels keep at least. */
const KEPT = 0.7;
/** Resident MiB that the relay may not exceed. */
const MOST = 400;

const test = suite("attack in full");

testWith(test, ["taskset"], "50 tunnels keep 0.7 beside 1,000 attackers", async () => {
  // What is started from here on inherits it.
  await runToEnd(["taskset", "-a", "-c", "-p", "0", String(Deno.pid)]);
  const apart = (command: readonly string[]) => ["taskset", "-c", "1", ...command];
  await using ground = await AttackGround.open(TUNNELS);
  await ground.carry(SPELL / 4); // Windows have grown by now.
  const before = await measure(ground);
  const quiet = await ground.peak();
  const order = { attackers: ATTACKERS, seed: newSeed() };
  const { result: during, report } = await ground.attack(order, () => measure(ground), apart);
  const after = await measure(ground);
  const peak = await ground.peak();
  const megabits = (rate: number) => `${Math.round(rate * 8 / 1e6)} Mbit/s`;
  const kept = during.rate / ((before.rate + after.rate) / 2);
  const { result: cost } = await ground.attack(order, () => ground.rest(SPELL), apart);
  console.log(report);
  console.log(
    `before ${megabits(before.rate)}, during ${megabits(during.rate)}, after ${
      megabits(after.rate)
    }: ${kept.toFixed(2)} kept; the slowest tunnel ${megabits(during.least)}`,
  );
  const connections = await ground.count("tunnel_relay_connections_total");
  const refused = await ground.count("tunnel_relay_refused_total");
  console.log(
    `connections ${connections}, refused by limits ${refused}, ${ground.lines} log lines`,
  );
  console.log(`relay, its tunnels idle: ${(cost * 100).toFixed(0)} % of a core for the attack`);
  console.log(`relay: ${quiet} MiB resident before, ${peak} MiB at most`);
  assert.is(await ground.count("tunnel_relay_dials"), TUNNELS);
  assert.ok(during.least > 0, "a tunnel stood still");
  assert.ok(peak < MOST, `the relay had ${peak} MiB`);
  assert.ok(kept >= KEPT, `${kept} of the throughput was kept`);
});

test.run();

/** What the tunnels carry in a median slice; of the slowest tunnel what it carries in all. */
async function measure(ground: AttackGround): Promise<Carried> {
  const slices: Carried[] = [];
  for (let i = 0; i < SLICES; i++) slices.push(await ground.carry(SPELL / SLICES));
  const least = slices.reduce((sum, slice) => sum + slice.least, 0) / SLICES;
  return { rate: median(slices.map(({ rate }) => rate)), least };
}
