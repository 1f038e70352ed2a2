/**
 * Throughput and round trips across an emulated link, where the way and not the machine is what
 * limits. What a suite on loopback shows is CPU time; this one shows congestion control, windows and
 * queues.
 */

import type { Row } from "../measure.ts";
import { measure } from "../measure.ts";
import { type Contender, NAMES } from "../contenders.ts";
import { LINK_NAMES, load, type Near, startLinkField, TCP_TUNNEL } from "../link/field.ts";
import type { LinkContender, LoadOptions } from "../link/field.ts";
import { canEmulate, type Link, openLink } from "../link/link.ts";
import { median, percentile, ratio } from "../statistics.ts";
import type { Case, Suite, SuiteOptions } from "./suite.ts";

/** A link. The round trip is there and back, without anything that waits. */
interface Profile {
  /** Milliseconds. */
  readonly roundTrip: number;
  /** 10^6 bits per second each way. */
  readonly rate: number;
  /** Percent, each way. */
  readonly loss: number;
}

const PROFILES: readonly Profile[] = [
  { rate: 100, roundTrip: 50, loss: 0 },
  { rate: 100, roundTrip: 50, loss: 1 },
  { rate: 100, roundTrip: 150, loss: 0.1 },
  { rate: 10, roundTrip: 300, loss: 0 },
];
/** The other one moves the same bytes over the same hop the other way round; one profile shows it. */
const NEAR: readonly { near: Near; profiles: readonly Profile[] }[] = [
  { near: "service", profiles: PROFILES },
  { near: "device", profiles: PROFILES.slice(1, 2) },
];

/** Seconds: what a tunnel has to find out about the way, it finds out before it is measured. */
const WARM_UP = 12;

export const link: Suite = async (options) => {
  const why = await canEmulate();
  if (why !== undefined) {
    options.skip(why);
    return [];
  }
  const names = LINK_NAMES.filter((name) => isWanted(name, options.names));
  const rows: Row[] = [];
  for (const { near, profiles } of NEAR) {
    for (const profile of profiles) rows.push(...await measureLink(profile, near, names, options));
  }
  return rows;
};

/** Goes by the name on loopback, without what is told apart here alone. */
function isWanted(name: string, wanted: readonly string[]): boolean {
  const [known] = name.split(",");
  return wanted.includes(known!) || !NAMES.includes(known!);
}

async function measureLink(
  profile: Profile,
  near: Near,
  names: readonly string[],
  { suite, quick, rounds, progress }: SuiteOptions,
): Promise<Row[]> {
  const { rate, roundTrip, loss } = profile;
  await using link = await openLink({ rate, delay: roundTrip / 2, loss });
  progress(`starting ${names.join(", ")} on a link of ${describe(profile, near)}`);
  await using field = await startLinkField(link, near, names);
  for (const [name, why] of field.failures) progress(`${name} failed: ${why}`);
  const work = crossing(link, near, profile, quick);
  return addRatios(await measure(work, { suite, field, rounds, progress }));
}

/** Idle, then with everything that the link takes down, then up. */
function crossing(link: Link, near: Near, profile: Profile, quick: boolean): Case {
  const [settle, seconds] = quick ? [3, 5] : [4, 10];
  const measured = (contender: Contender, direction: LoadOptions["direction"], streams: number) =>
    load(link, near, contender as LinkContender, { direction, streams, settle, seconds });
  return {
    name: describe(profile, near),
    metrics: [
      ...["down", "up"].map((name) => ({ name, unit: "Mbit/s", better: "more" } as const)),
      ...["idle", "under load down", "under load up"].flatMap((name) =>
        ["median", "p99"].map((what) =>
          ({ name: `round trip ${name}, ${what}`, unit: "ms", better: "less" }) as const
        )
      ),
    ],
    async warmUp(contender) {
      const options = { direction: "down", streams: 1, settle: 0, seconds: WARM_UP } as const;
      await load(link, near, contender as LinkContender, options);
    },
    async run(contender) {
      const idle = await measured(contender, "down", 0);
      const down = await measured(contender, "down", 1);
      const up = await measured(contender, "up", 1);
      const trips = [idle, down, up].flatMap((
        { trips },
      ) => [median(trips), percentile(trips, 0.99)]);
      return [down.rate, up.rate, ...trips];
    },
  };
}

/** What each did to what the TCP tunnel did in the same round. */
function addRatios(rows: readonly Row[]): Row[] {
  return rows.map((row) => {
    const reference = rows.find(({ contender, metric }) =>
      contender === TCP_TUNNEL && metric === row.metric
    );
    const value = ratio(row.rounds, reference?.rounds ?? []);
    if (value === undefined || row === reference) return row;
    return { ...row, ratios: { ...row.ratios, [TCP_TUNNEL]: value } };
  });
}

function describe({ rate, roundTrip, loss }: Profile, near: Near): string {
  const what = `${rate} Mbit/s, ${roundTrip} ms${loss > 0 ? `, ${loss} % loss` : ""}`;
  return near === "service" ? what : `${what}, the device behind it`;
}
