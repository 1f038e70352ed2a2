/** How a contender is made. */

import type { Running } from "../tests/processes.ts";

export interface Recipe {
  /** What it is and how it is set up, in a sentence. */
  readonly description: string;
  /** The programs of the machine that it takes; none by default. */
  readonly programs?: readonly string[];
  /** A command that prints the version of those programs. */
  readonly version?: readonly string[];
  /** Starts it; settles with the local port whose connections arrive at the target. */
  readonly start: (context: StartContext) => Promise<number>;
}

export interface StartContext {
  /** The port of the target, on this machine. */
  readonly target: number;
  /** A folder of its own, which goes with the field. */
  readonly home: string;
  /** Keeps a process of this role, and those that it starts, until the field goes. */
  readonly keep: (role: string, running: Running) => Running;
}
