/**
 * How long a connection stands still when the path under it is lost: from the loss to the next
 * answer of a login through the tunnel. Each trial has processes of its own.
 */

import { describe } from "../../core/errors.ts";
import { delay } from "../../core/deadline.ts";
import { find } from "../../tests/require.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { blackout, blockUdp, changeAddress, type Fault, kill } from "../../tests/resume_faults.ts";
import { Ground, PROGRAMS } from "../../tests/resume_ground.ts";
import { Shell } from "../../tests/resume_shell.ts";
import { canEmulate, openLink } from "../link/link.ts";
import type { Row } from "../measure.ts";
import { median, spread } from "../statistics.ts";
import type { Suite } from "./suite.ts";

const TRIALS = 5;
const QUICK_TRIALS = 2;
/** Milliseconds at most that the login rests before a fault, so that trials meet every phase. */
const REST = 2_000;
/** Near and far are 10 ms apart, there and back. */
const LINK = { delay: 5, rate: 100 };

interface Trial {
  readonly name: string;
  readonly fault: Fault;
  /** Counted from here: the loss, or the moment at which the way is there again. */
  readonly from: "its begin" | "its end";
  /** By the names on loopback; "tunnel" is the program's own choice of transport. */
  readonly contenders: readonly string[];
}

const EACH = ["tunnel quic", "tunnel webtransport", "tunnel websocket"];

function trials(random: Random): Trial[] {
  return [
    {
      name: "relay killed and restarted",
      fault: kill(0, random),
      from: "its begin",
      contenders: EACH,
    },
    { name: "UDP blocked", fault: blockUdp, from: "its begin", contenders: ["tunnel"] },
    {
      name: "service's address changed",
      fault: changeAddress,
      from: "its begin",
      contenders: EACH,
    },
    {
      name: "blackout of 5 s, from its end",
      fault: blackout(5_000),
      from: "its end",
      contenders: EACH,
    },
  ];
}

export const resume: Suite = async ({ suite, quick, names, progress, skip }) => {
  const absent = PROGRAMS.filter((program) => !find(program));
  const why = absent.length > 0 ? `needs ${absent.join(", ")}` : await canEmulate();
  if (why !== undefined) {
    skip(why);
    return [];
  }
  const random = new Random(newSeed());
  const rows: Row[] = [];
  for (const trial of trials(random)) {
    for (const contender of trial.contenders) {
      if (!names.some((name) => name.startsWith(contender))) continue;
      const took: number[] = [];
      let failed: string | undefined;
      for (let i = 0; i < (quick ? QUICK_TRIALS : TRIALS) && !failed; i++) {
        progress(`${trial.name}: ${contender}, trial ${i + 1}`);
        try {
          took.push(await time(trial, contender, random));
        } catch (error) {
          failed = describe(error);
          progress(`${trial.name}: ${contender} failed: ${failed}`);
        }
      }
      rows.push(...report(suite, trial.name, contender, took, failed));
    }
  }
  return rows;
};

/** Milliseconds of one trial. */
async function time({ fault, from }: Trial, contender: string, random: Random): Promise<number> {
  await using link = await openLink(LINK);
  const [, transport] = contender.split(" ");
  await using ground = await Ground.open({ link, transport });
  await using shell = new Shell(ground);
  await shell.ask();
  await shell.answer();
  await delay(random.below(REST));
  let began = performance.now();
  await fault.strike(ground);
  if (from === "its end") began = performance.now();
  await shell.ask();
  await shell.answer();
  return performance.now() - began;
}

function report(
  suite: string,
  name: string,
  contender: string,
  rounds: readonly number[],
  failed: string | undefined,
): Row[] {
  const known = { suite, case: name, unit: "ms", better: "less", contender, rounds } as const;
  if (failed !== undefined) return [{ ...known, metric: "median", failed }];
  return [
    { ...known, metric: "median", median: median(rounds), spread: spread(rounds) },
    { ...known, metric: "worst", median: Math.max(...rounds), spread: 0 },
  ];
}
