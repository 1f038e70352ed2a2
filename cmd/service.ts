/** The operator's side, as several commands use it: signed in, and gone when the command ends. */

import { untilAborted } from "../core/deadline.ts";
import { Dialer } from "../core/dialer.ts";
import { superviseEndpoint } from "../core/endpoint.ts";
import { abortError } from "../core/deadline.ts";
import { Verifier } from "../core/identity/credential.ts";
import { Membership } from "../core/membership.ts";
import { parseDuration, parseRelayUrl } from "../core/names.ts";
import type { Claim } from "../core/link.ts";
import type { Supervisor } from "../core/supervisor.ts";
import type { Identity } from "../stores/home.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { identityFor } from "./enrol.ts";
import { stopSignal } from "./process.ts";
import { renewalOf, renewWhile } from "./renew.ts";
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
  const { log, options } = context;
  const stop = stopSignal();
  const identity = await identityFor(context, "operator", undefined, stop);
  const membership = await Membership.of(identity);
  // The channels are closed before the session that says so to their other ends.
  const ending = new AbortController();
  // With --stdio stderr is the terminal of somebody who is logged in: what mends itself is no
  // warning there.
  const quiet = options.flag("stdio") ? { ...log, warn: log.info } : log;
  const first = Promise.withResolvers<void>();
  const supervisor = superviseEndpoint({
    relay: parseRelayUrl(identity.relay),
    claim: () => membership.claim(),
    connector: await makeConnector(context, identity),
    agent: AGENT,
    log: quiet,
    onUp(link) {
      first.resolve();
      dialer.move(link);
    },
    supervisor: { failFast: true },
  });
  const dialer = new Dialer({
    links: supervisor,
    identity: membership,
    verifier: new Verifier(identity.authority),
    trust: trustKeys(context),
    resumeWindow: parseDuration(options.text("resumeWindow") ?? "5m"),
    log,
  });
  const renewal = renewalOf({ ...context, log: quiet }, identity, membership, supervisor);
  renewWhile(renewal, context, ending.signal);
  const running = supervisor.run(ending.signal);
  running.then(() => first.reject(abortError(ending.signal, "connect")), first.reject);
  const failed = running.then(() => Promise.reject(abortError(ending.signal, "run")));
  failed.catch(() => {}); // Met by the race below, unless the work was done before.
  try {
    await untilAborted(first.promise, stop, "connect");
    const working = Promise.race([
      work({ supervisor, dialer, identity, claim: membership.claim(), stop }),
      failed,
    ]);
    return await untilAborted(working, stop, "run");
  } catch (cause) {
    // What the signal cut short is not a failure of its own.
    throw stop.aborted ? abortError(stop, "run") : cause;
  } finally {
    await dialer.close();
    ending.abort();
    await running.catch(() => {}); // Its failure has reached the caller through the race above.
  }
}
