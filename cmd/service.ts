/** The operator's side, as several commands use it: signed in, and gone when the command ends. */

import { superviseEndpoint } from "../core/endpoint.ts";
import { abortError } from "../core/deadline.ts";
import { parseRelayUrl } from "../core/names.ts";
import type { Supervisor } from "../core/supervisor.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { claimOf, identityFor } from "./enrol.ts";
import { stopSignal } from "./process.ts";

/** Milliseconds for the first session with a relay, or the next one after a loss. */
export const LINK_TIMEOUT = 20_000;

export interface Service {
  readonly supervisor: Supervisor;
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
  const interrupted = stopSignal();
  const identity = await identityFor(context, "operator", undefined, interrupted);
  const ending = new AbortController();
  const stop = AbortSignal.any([interrupted, ending.signal]);
  const first = Promise.withResolvers<void>();
  const supervisor = superviseEndpoint({
    relay: parseRelayUrl(identity.relay),
    claim: await claimOf(identity),
    connector: await makeConnector(context, identity),
    agent: AGENT,
    log: context.log,
    onUp: () => first.resolve(),
    supervisor: { failFast: true },
  });
  const running = supervisor.run(stop);
  running.then(() => first.reject(abortError(stop, "connect")), first.reject);
  try {
    await first.promise;
    const failed = running.then(() => Promise.reject(abortError(stop, "run")));
    return await Promise.race([work({ supervisor, stop }), failed]);
  } catch (cause) {
    // What the signal cut short is not a failure of its own.
    if (interrupted.aborted) throw abortError(interrupted, "run");
    throw cause;
  } finally {
    ending.abort();
    await running.catch(() => {}); // Its failure has reached the caller through the race above.
  }
}
