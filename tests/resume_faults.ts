/** What befalls a tunnel: each fault settles when it is over. */

import { delay } from "../core/deadline.ts";
import type { Random } from "./random.ts";
import type { Ground } from "./resume_ground.ts";

export interface Fault {
  readonly name: string;
  strike(ground: Ground): Promise<void>;
}

/** Kills the relay and starts it again within so many milliseconds. */
export function kill(within: number, random: Random): Fault {
  const downtime = random.below(within + 1);
  return {
    name: `relay killed for ${seconds(downtime)}`,
    strike: (ground) => killFor(ground, downtime),
  };
}

/** The same, and UDP passes no more, or again, before it is back. */
export function killAndBlockUdp(blocked: boolean, within: number, random: Random): Fault {
  const downtime = random.below(within + 1);
  return {
    name: `relay killed for ${seconds(downtime)}, UDP ${blocked ? "blocked" : "free"} from then on`,
    strike: (ground) => killFor(ground, downtime, () => ground.link!.blockUdp(blocked)),
  };
}

/** Stops the relay and has it go on. */
export function freeze(milliseconds: number): Fault {
  return {
    name: `relay stopped for ${seconds(milliseconds)}`,
    async strike({ relay }) {
      relay.kill("SIGSTOP");
      await delay(milliseconds);
      relay.kill("SIGCONT");
    },
  };
}

/** Nothing passes the link. */
export function blackout(milliseconds: number): Fault {
  return {
    name: `blackout of ${seconds(milliseconds)}`,
    async strike({ link }) {
      await link!.blackout(true);
      await delay(milliseconds);
      await link!.blackout(false);
    },
  };
}

/** UDP passes the link no more. */
export const blockUdp: Fault = {
  name: "UDP blocked",
  async strike({ link }) {
    await link!.blockUdp(true);
  },
};

/** The near side has another address. */
export const changeAddress: Fault = {
  name: "change of address",
  async strike({ link }) {
    await link!.changeAddress();
  },
};

async function killFor(
  ground: Ground,
  milliseconds: number,
  meanwhile?: () => Promise<void>,
): Promise<void> {
  ground.relay.kill("SIGKILL");
  await ground.relay.outcome();
  await meanwhile?.();
  await delay(milliseconds);
  await ground.startRelay();
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}
