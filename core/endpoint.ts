/** A device's or operator's presence at its relay: an identity, a way to connect, and a supervisor. */

import { audienceOf } from "./identity/proof.ts";
import type { Link } from "./link.ts";
import { type Claim, newInstance, signIn } from "./sign_in.ts";
import type { Log } from "./log.ts";
import { Supervisor, type SupervisorOptions } from "./supervisor.ts";
import type { Session } from "./transport.ts";

/** Makes sessions to a relay by whatever transport works. */
export interface SessionConnector {
  connect(url: URL, signal?: AbortSignal): Promise<Session>;
  /** A session by a better transport than `current`; undefined when there is none. */
  improve(url: URL, current: string, signal?: AbortSignal): Promise<Session | undefined>;
  /** A session by the transport of `outgrown`, in its place; without it sessions stay. */
  remake?(url: URL, outgrown: Session, signal?: AbortSignal): Promise<Session>;
}

export interface EndpointOptions {
  /** `tunnel://host:port` */
  readonly relay: URL;
  /** Who signs in; a function where renewals replace it. */
  readonly claim: Claim | (() => Claim);
  readonly connector: SessionConnector;
  readonly agent: string;
  /** A device's epoch now. */
  readonly epoch?: () => string;
  readonly log: Log;
  readonly onUp?: (link: Link, outgrown?: Link) => void;
  readonly supervisor?: Pick<SupervisorOptions, "improveEvery" | "backoff" | "failFast">;
}

/** Connects to a relay and signs in, once. */
export async function openLink(
  options: Pick<EndpointOptions, "relay" | "claim" | "connector" | "agent" | "epoch">,
  signal?: AbortSignal,
  instance: string = newInstance(),
): Promise<Link> {
  const session = await options.connector.connect(options.relay, signal);
  return await signInAs(options, session, instance, signal);
}

function signInAs(
  { relay, claim, agent, epoch }: Pick<EndpointOptions, "relay" | "claim" | "agent" | "epoch">,
  session: Session,
  instance: string,
  signal?: AbortSignal,
): Promise<Link> {
  const audience = audienceOf(relay);
  const current = typeof claim === "function" ? claim() : claim;
  return signIn(session, { claim: current, audience, instance, agent, epoch: epoch?.(), signal });
}

/** A supervisor whose links are this endpoint's. */
export function superviseEndpoint(options: EndpointOptions): Supervisor {
  const { relay, connector, log, onUp } = options;
  const instance = newInstance();
  return new Supervisor({
    ...options.supervisor,
    connect: (signal) => openLink(options, signal, instance),
    async improve(current, signal) {
      const session = await connector.improve(relay, current.session.transport, signal);
      if (!session) return undefined;
      return await signInAs(options, session, instance, signal);
    },
    remake: connector.remake && (async ({ session: outgrown }, signal) => {
      log.info("the session is outgrown: another takes its place", { relay: relay.host });
      const session = await connector.remake!(relay, outgrown, signal);
      return await signInAs(options, session, instance, signal);
    }),
    onUp(link, outgrown) {
      log.info("signed in", { relay: relay.host, via: link.session.transport });
      onUp?.(link, outgrown);
    },
    onDown(error, retryIn) {
      const again = `${Math.ceil(retryIn / 100) / 10}s`;
      log.warn("no session with the relay", { why: error.message, again });
    },
    onImproveFailed(error) {
      log.debug("the better transport still fails", { why: error.parts.state });
    },
  });
}
