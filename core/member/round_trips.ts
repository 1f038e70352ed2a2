/** How a device tells its relay how far away it is: only the device can measure that on every transport. */

import { delay } from "../deadline.ts";
import type { Link } from "../link.ts";

/** Milliseconds between two measurements. */
const INTERVAL = 60_000;
/** Pings of one measurement; the shortest counts, since the others waited for something. */
const PINGS = 3;

/** Measures and tells until the session ends. Never rejects. */
export async function reportRoundTrips(link: Link, interval: number = INTERVAL): Promise<void> {
  const over = new AbortController();
  const end = () => over.abort();
  link.closed.then(end, end);
  const { signal } = over;
  try {
    while (!signal.aborted) {
      const times: number[] = [];
      for (let i = 0; i < PINGS; i++) times.push(await link.ping(signal));
      await link.report(Math.min(...times), signal);
      await delay(interval, signal);
    }
  } catch {
    // The session is over, or so busy that a figure for people is the least of its worries.
  }
}
