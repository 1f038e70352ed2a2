/** The trial of resumption: faults in the middle of a copy each way and of an interactive login. */

import type { Random } from "./random.ts";
import { type Fault, seconds } from "./resume_faults.ts";
import type { Ground } from "./resume_ground.ts";
import { Copy, makeOriginal } from "./resume_scp.ts";
import { Shell } from "./resume_shell.ts";

/** The part of a copy that is left over after the last fault; the buffers on the way are smaller. */
const REST = 0.3;

/** Copies `bytes` each way while the faults strike one after the other, at random moments. */
export async function survive(
  ground: Ground,
  faults: readonly Fault[],
  { bytes, random }: { bytes: number; random: Random },
): Promise<void> {
  const original = await makeOriginal(ground, bytes);
  await using shell = new Shell(ground);
  await shell.ask();
  await shell.answer();
  await using up = new Copy(ground, "up", original);
  await using down = new Copy(ground, "down", original);
  const moments = faults.map(() => random.below(bytes * (1 - REST))).sort((a, b) => a - b);
  for (const [i, fault] of faults.entries()) {
    await Promise.race([up.exceeds(moments[i]!), down.exceeds(moments[i]!)]);
    await shell.ask();
    await fault.strike(ground);
    const before = { up: up.bytes, down: down.bytes };
    const began = performance.now();
    const since = async (event: Promise<void>) => {
      await event;
      return seconds(performance.now() - began);
    };
    const [sent, received, answered] = await Promise.all([
      since(up.exceeds(before.up)),
      since(down.exceeds(before.down)),
      since(shell.answer()),
    ]);
    console.log(
      `${fault.name}: up flows after ${sent}, down after ${received}, answered after ${answered}`,
    );
  }
  await up.finish();
  await down.finish();
  await shell.ask();
  await shell.answer();
  await shell.finish();
  console.log(`${bytes} bytes each way, both SHA-256 ${original.digest}`);
}
