/**
 * `deno task resume`: 1 GiB by scp each way and an interactive login at a time, through every fault.
 * Takes a quarter of an hour; resume_test.ts is the short form of it.
 */

import { suite } from "uvu";
import { openLink } from "../bench/link/link.ts";
import { testOverLink } from "../bench/link/require.ts";
import { newSeed, Random } from "./random.ts";
import { testWith } from "./require.ts";
import { blackout, changeAddress, freeze, kill, killAndBlockUdp } from "./resume_faults.ts";
import { Ground, PROGRAMS } from "./resume_ground.ts";
import { survive } from "./resume_trial.ts";

const BYTES = 1024 * 1024 * 1024;
const KILLS = 10;
/** Milliseconds until a killed relay is back, at most. */
const DOWNTIME = 5_000;
/** What the link carries each way, 10^6 bits per second. */
const RATE = 500;

const test = suite("resume in full");

for (const transport of ["quic", "websocket"]) {
  testWith(test, PROGRAMS, `the relay is killed ten times, over ${transport}`, async () => {
    const random = new Random(newSeed());
    await using ground = await Ground.open({ transport });
    const faults = Array.from({ length: KILLS }, () => kill(DOWNTIME, random));
    await survive(ground, faults, { bytes: BYTES, random });
  });
}

await testOverLink(test, PROGRAMS, "UDP is blocked and freed between ten kills", async () => {
  const random = new Random(newSeed());
  await using link = await openLink({ delay: 5, rate: RATE });
  await using ground = await Ground.open({ link, near: ["service", "device"] });
  const faults = Array.from(
    { length: KILLS },
    (_, i) => killAndBlockUdp(i % 2 === 0, DOWNTIME, random),
  );
  await survive(ground, faults, { bytes: BYTES, random });
});

for (const near of ["service", "device"] as const) {
  await testOverLink(test, PROGRAMS, `the ${near}'s address and link change and go`, async () => {
    const random = new Random(newSeed());
    await using link = await openLink({ delay: 5, rate: RATE });
    await using ground = await Ground.open({ link, near: [near] });
    const faults = [
      changeAddress,
      blackout(30_000),
      changeAddress,
      freeze(3_000),
      freeze(20_000),
      changeAddress,
    ];
    await survive(ground, faults, { bytes: BYTES, random });
  });
}

test.run();
