/**
 * The contract of core/transport.ts as tests, written once and run against every transport.
 * A transport hands in a {@linkcode Fixture}; nothing here knows which one it is.
 */

import { suite } from "uvu";
import type { Limits, Session } from "../core/transport.ts";
import { checkBlocks } from "./conformance_blocks.ts";
import { checkLoss } from "./conformance_loss.ts";
import { checkSessions } from "./conformance_sessions.ts";
import { checkStreams } from "./conformance_streams.ts";

export { bounded } from "./bounded.ts";
export { serveEcho } from "./streams.ts";

/** How a transport makes what the suite needs. */
export interface Fixture {
  readonly name: string;
  /** Two ends of one session. */
  pair(limits?: Partial<Limits>): Promise<Pair>;
  /** A session whose peer echoes every stream, and a way to make that peer vanish. */
  mortal(limits: Partial<Limits>): Promise<{ session: Session; kill(): void }>;
  /** Starts a dial that cannot succeed, for cancelling. */
  stuckDial?(signal: AbortSignal, limits: Partial<Limits>): Promise<Session>;
}

export interface Pair extends AsyncDisposable {
  readonly client: Session;
  readonly server: Session;
}

/** Registers a test on a session of its own. */
export type Check = (
  name: string,
  body: (pair: Pair) => Promise<void>,
  limits?: Partial<Limits>,
) => void;

/** Registers and runs the suite for one transport. */
export function conformance(fixture: Fixture): void {
  const test = suite(`conformance: ${fixture.name}`);
  const check: Check = (name, body, limits) =>
    test(name, async () => {
      await using pair = await fixture.pair(limits);
      await body(pair);
    });
  checkBlocks(check);
  checkStreams(check);
  checkSessions(check);
  checkLoss(test, fixture);
  test.run();
}
