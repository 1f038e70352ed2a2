/** Turns of the event loop: what scripts wait by, instead of by the clock. */

import { setImmediate } from "node:timers";
import { must } from "./expect.ts";

/** Turns in which everything comes that needs no event from outside. */
const TURNS = 2_000;
/** Further ones, a millisecond each, for work that is done beside the event loop: that on keys. */
const SLOW_TURNS = 1_200;

// As it is before a test counts timers.
const { setTimeout } = globalThis;

/** One turn of the event loop: everything that waits for nothing outside has happened. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits until it holds. No deadline of the code under test is as short as this waits at most. */
export async function until(holds: () => boolean, what: string | (() => string)): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    must(turns < TURNS + SLOW_TURNS, typeof what === "string" ? what : what());
    if (turns < TURNS) await turn();
    else await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
