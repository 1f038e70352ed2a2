/** The operator's side, as several commands use it: signed in, and gone when the command ends. */

import { abortError, untilAborted } from "../core/deadline.ts";
import type { Dialer } from "../core/dialer.ts";
import type { Claim } from "../core/sign_in.ts";
import type { Identity } from "../core/member/identity.ts";
import { Operator } from "../core/member/operator.ts";
import { parseDuration } from "../core/names.ts";
import type { Supervisor } from "../core/supervisor.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { identityFor } from "./enrol.ts";
import { stopSignal } from "./process.ts";
import { trustKeys } from "./trust.ts";

/** Milliseconds for the first session with a relay, or the next one after a loss. */
export const LINK_TIMEOUT = 20_000;

export interface Service {
  readonly supervisor: Supervisor;
  readonly dialer: Dialer;
  readonly identity: Identity;
  /** Who this operator is. */
  readonly claim: Claim;
  /** Fires when the command is to end. */
  readonly stop: AbortSignal;
}

/**
 * Signs in as this home's operator and runs `work`. The first failure to connect is final, a loss
 * later is not: a command that cannot start says so at once.
 */
export async function withService<T>(
  context: Context,
  work: (service: Service) => Promise<T>,
): Promise<T> {
  const { log, options, home } = context;
  const stop = stopSignal();
  const identity = await identityFor(context, "operator", undefined, stop);
  // With --stdio stderr is the terminal of somebody who is logged in: what mends itself is no
  // warning there.
  const quiet = options.flag("stdio") ? { ...log, warn: log.info } : log;
  let operator: Operator | undefined;
  try {
    operator = await Operator.open({
      identity,
      store: home.members,
      connector: await makeConnector(context, identity),
      agent: AGENT,
      log: quiet,
      dialLog: log,
      trust: trustKeys(context),
      resumeWindow: parseDuration(options.text("resumeWindow") ?? "5m"),
    }, stop);
    const { presence: { supervisor, membership, closed }, dialer } = operator;
    const claim = membership.claim();
    const working = work({ supervisor, dialer, identity, claim, stop });
    return await untilAborted(Promise.race([working, closed.then(never)]), stop, "run");
  } catch (cause) {
    // What the signal cut short is not a failure of its own.
    throw stop.aborted ? abortError(stop, "run") : cause;
  } finally {
    await operator?.close();
  }
}

/** It was closed: whoever did so has an end of its own. */
function never(): Promise<never> {
  return new Promise(() => {});
}
