/** A relay under attack, beside tunnels in use: none of them notices, and memory has a bound. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { AttackGround } from "./attack_ground.ts";
import { newSeed } from "./random.ts";

// A short form of attack_full.ts, which has the whole of it and takes its time.
const ATTACKERS = 200;
const TUNNELS = 10;
/** Resident MiB that the relay may not exceed. */
const MOST = 400;

const test = suite("attack");

test("200 attackers fail no tunnel, keep nobody out, and cost the relay little", async () => {
  await using ground = await AttackGround.open(TUNNELS);
  await ground.carry(500);
  const linesBefore = ground.lines;
  const { result, report } = await ground.attack(
    { attackers: ATTACKERS, seed: newSeed() },
    async () => {
      const carried = await ground.carry(10_000);
      return { carried, devices: await ground.devices() };
    },
  );
  console.log(report);
  assert.ok(result.carried.least > 0, "a tunnel stood still");
  assert.equal(result.devices.sort(), ["by-quic", "by-websocket"]);
  for (const [attack, times] of Object.entries(report)) assert.ok(times > 0, `no ${attack}`);
  const refusals = ["sign-in-streams", "join-failures"];
  for (const limit of refusals) {
    const count = await ground.count("tunnel_relay_refused_total", `"${limit}"`);
    assert.ok(count > 0, `nothing was refused by ${limit}`);
  }
  assert.is(await ground.count("tunnel_relay_dials"), TUNNELS);
  const peak = await ground.peak();
  assert.ok(peak < MOST, `the relay had ${peak} MiB`);
  const lines = ground.lines - linesBefore;
  assert.ok(lines < 200, `${lines} lines were logged`);
});

test.run();
