/** Connections outlive faults of the path under them: real processes, ssh and scp. */

import { suite } from "uvu";
import { openLink } from "../bench/link/link.ts";
import { testOverLink } from "../bench/link/require.ts";
import { newSeed, Random } from "./random.ts";
import { testWith } from "./require.ts";
import { blackout, changeAddress, freeze, kill, killAndBlockUdp } from "./resume_faults.ts";
import { Ground, PROGRAMS } from "./resume_ground.ts";
import { survive } from "./resume_trial.ts";

// A short form of resume_full.ts, which has the whole of it and takes its time.
const BYTES = 128 * 1024 * 1024;
/** 10^6 bits per second: a copy lasts long enough for its faults. */
const RATE = 200;

const test = suite("resume");

for (const transport of ["quic", "websocket"]) {
  testWith(test, PROGRAMS, `a relay is killed twice, over ${transport}`, async () => {
    const random = new Random(newSeed());
    await using ground = await Ground.open({ transport });
    const faults = [kill(1_000, random), kill(1_000, random)];
    await survive(ground, faults, { bytes: BYTES, random });
  });
}

await testOverLink(test, PROGRAMS, "an address changes, a link and a relay go dark", async () => {
  const random = new Random(newSeed());
  await using link = await openLink({ delay: 5, rate: RATE });
  await using ground = await Ground.open({ link });
  const faults = [changeAddress, blackout(10_000), freeze(10_000)];
  await survive(ground, faults, { bytes: BYTES, random });
});

await testOverLink(test, PROGRAMS, "UDP is blocked half-way", async () => {
  const random = new Random(newSeed());
  await using link = await openLink({ delay: 5, rate: RATE });
  await using ground = await Ground.open({ link, near: ["service", "device"] });
  await survive(ground, [killAndBlockUdp(true, 1_000, random)], { bytes: BYTES, random });
});

test.run();
