/** How a device tells its relay how far away it is: only the device can measure that on every transport. */

import { delay } from "../deadline.ts";
import type { Link } from "../link.ts";

/** Milliseconds between two measurements: each is an exchange, of which a relay has thousands. */
const INTERVAL = 300_000;
/** Measurements of which the shortest counts, since the others waited for something. */
const RECENT = 3;
/**
 * How many times as long as its return a fleet takes for its first measurements, which then have about
 * the pace of the later ones.
 */
const FIRST = 40;

export interface ReportOptions {
  /** Milliseconds between two measurements; default 300,000. */
  readonly interval?: number;
  /** 0 to 1; default `Math.random`. */
  readonly random?: () => number;
}

/** Measures and tells until the session ends. Never rejects. */
export async function reportRoundTrips(
  link: Pick<Link, "closed" | "ping" | "report" | "spread">,
  { interval = INTERVAL, random = Math.random }: ReportOptions = {},
): Promise<void> {
  const over = new AbortController();
  const end = () => over.abort();
  link.closed.then(end, end);
  const { signal } = over;
  try {
    // While a fleet comes back its relay has better to do, and as much again just after.
    await delay(link.spread * (1 + (FIRST - 1) * random()), signal);
    if (signal.aborted) return;
    let recent = [await link.ping(signal)];
    while (!signal.aborted) {
      const took = await link.report(Math.min(...recent), signal);
      recent = [...recent, took].slice(-RECENT);
      await delay(interval, signal);
    }
  } catch {
    // The session is over, or so busy that a figure for people is the least of its worries.
  }
}
