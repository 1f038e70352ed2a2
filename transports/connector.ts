/**
 * Which transport reaches a relay: the best one gets a head start, then all race, and what won is
 * tried first the next time.
 */

import { delay, throwIfAborted } from "../core/deadline.ts";
import { toTunnelError, TunnelError } from "../core/errors.ts";
import type { ConnectOptions, Session, Transport } from "../core/transport.ts";
import { proxyFor } from "./proxy.ts";
import { staggered } from "./address.ts";

/** Milliseconds that the first transport has to itself. */
const HEAD_START = 300;
/**
 * The same for one that carried a session until just now: then the relay is likelier to be slow, with
 * a fleet that comes back to it, than the network to have changed.
 */
const FAMILIAR_START = 2_000;
/** Milliseconds from the end of a session for which that holds. */
const FAMILIAR = 30_000;
/**
 * Milliseconds that the others get once the last of them has failed outright. That one passes where
 * no other does, so the relay is then likely down; a failure of another says nothing about it.
 */
const GRACE = 2_000;
/** Milliseconds from a win for which it is remembered, so that a moment's trouble does not stay. */
const REMEMBERED = 30 * 60_000;

/** Remembers which transport won, per relay. */
export interface TransportMemory {
  get(relay: string): { transport: string; at: number } | undefined;
  set(relay: string, entry: { transport: string; at: number }): void;
}

export interface ConnectorOptions extends Omit<ConnectOptions, "signal" | "proxy"> {
  /** In the order of preference; the last is the one to fall back on. */
  readonly transports: readonly Transport[];
  /** The name of the only one to use; all of them by default. */
  readonly only?: string;
  /** A proxy named by the user; else the environment decides. */
  readonly proxy?: URL;
  readonly env?: (name: string) => string | undefined;
  readonly memory?: TransportMemory;
  /** Milliseconds that the first transport has to itself; default 300. */
  readonly headStart?: number;
  /** The same for one that carried a session until just now, where that is more; default 2,000. */
  readonly familiarStart?: number;
  /** Milliseconds that the others get once the last of `transports` has failed; default 2,000. */
  readonly grace?: number;
  readonly now?: () => number;
}

/** Makes sessions to relays by the best transport that works. */
export class Connector {
  readonly #options: ConnectorOptions;
  readonly #now: () => number;
  /** By which transport the last session with each relay ended, and when. */
  readonly #ended = new Map<string, { transport: string; at: number }>();

  constructor(options: ConnectorOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** @throws {TunnelError} `unreachable` with what each transport met; `usage`, `aborted` */
  async connect(url: URL, signal?: AbortSignal): Promise<Session> {
    return await this.#race(url, this.#order(url), signal);
  }

  /** A session by a transport that is preferred to `current`; undefined when there is none. */
  async improve(url: URL, current: string, signal?: AbortSignal): Promise<Session | undefined> {
    const usable = this.#usable(url);
    const better = usable.slice(0, Math.max(0, usable.findIndex(({ name }) => name === current)));
    if (better.length === 0) return undefined;
    return await this.#race(url, better, signal);
  }

  /** A session by the transport of `outgrown`, in its place. */
  async remake(url: URL, outgrown: Session, signal?: AbortSignal): Promise<Session> {
    const { caCerts, limits } = this.#options;
    const transport = this.#usable(url).find(({ name }) => name === outgrown.transport)!;
    const options = { caCerts, limits, proxy: this.#proxy(url), signal, replaces: outgrown };
    return await transport.connect(url, options);
  }

  #order(url: URL): Transport[] {
    const first = this.#remembered(url);
    return this.#usable(url).sort((a, b) => Number(b.name === first) - Number(a.name === first));
  }

  #remembered(url: URL): string | undefined {
    const entry = this.#options.memory?.get(url.host);
    if (!entry) return undefined;
    const age = this.#now() - entry.at;
    // An entry of the future is from before the clock was set back.
    return age >= 0 && age < REMEMBERED ? entry.transport : undefined;
  }

  #remember(url: URL, { transport }: Session): void {
    // What was remembered already keeps its time: else a program that is run often enough would
    // never try the better transport again.
    if (transport === this.#remembered(url)) return;
    // A transport that had no rival, by --transport or a proxy, has won nothing.
    if (this.#usable(url).length < 2) return;
    this.#options.memory?.set(url.host, { transport, at: this.#now() });
  }

  #usable(url: URL): Transport[] {
    const { transports, only } = this.#options;
    const proxy = this.#proxy(url);
    const wanted = transports.filter(({ name }) => only === undefined || name === only);
    if (wanted.length === 0) {
      throw new TunnelError("usage", {
        action: `connect ${url.host}`,
        state: `there is no transport ${only}`,
        remedy: `use auto, ${transports.map(({ name }) => name).join(" or ")}`,
      });
    }
    const usable = wanted.filter(({ name }) => !proxy || name === "websocket");
    if (usable.length > 0) return usable;
    throw new TunnelError("usage", {
      action: `connect ${url.host}`,
      state: `${only} cannot pass the HTTP proxy ${proxy!.host}, which carries TCP alone`,
      remedy: this.#options.proxy
        ? "use --transport websocket, or no --proxy"
        : "use --transport websocket, or name the relay in NO_PROXY",
    });
  }

  #proxy(url: URL): URL | undefined {
    const { proxy, env } = this.#options;
    return proxyFor(url, { proxy, env });
  }

  async #race(
    url: URL,
    order: readonly Transport[],
    signal: AbortSignal | undefined,
  ): Promise<Session> {
    const action = `connect ${url.host}`;
    throwIfAborted(signal, action);
    const { transports, caCerts, limits, grace = GRACE } = this.#options;
    const proxy = this.#proxy(url);
    const failures: { name: string; error: TunnelError }[] = [];
    const hopeless = new AbortController();
    const attempt = async (transport: Transport, signal: AbortSignal) => {
      try {
        const options = { caCerts, limits, proxy, signal };
        return await transport.connect(url, options);
      } catch (cause) {
        const error = toTunnelError(cause, action, "unreachable");
        failures.push({ name: transport.name, error });
        // The relay itself says so, and would by any other way.
        if (error.code === "limit") hopeless.abort();
        if (transport === transports.at(-1)) delay(grace, signal).then(() => hopeless.abort());
        throw cause;
      }
    };
    const either = signal ? AbortSignal.any([signal, hopeless.signal]) : hopeless.signal;
    const session = await staggered(order, either, attempt, {
      stagger: this.#headStart(url, order[0]!.name),
      discard: (late) => late.close(),
    }).catch((cause) => {
      throwIfAborted(signal, action);
      throw summary(action, order, failures, cause);
    });
    this.#remember(url, session);
    session.closed.catch(() => {}).finally(() => {
      this.#ended.set(url.host, { transport: session.transport, at: this.#now() });
    });
    return session;
  }

  #headStart(url: URL, first: string): number {
    const { headStart = HEAD_START, familiarStart = FAMILIAR_START } = this.#options;
    const ended = this.#ended.get(url.host);
    if (ended?.transport !== first) return headStart;
    const age = this.#now() - ended.at;
    return age >= 0 && age < FAMILIAR ? Math.max(headStart, familiarStart) : headStart;
  }
}

/** One line that says what each transport met. */
function summary(
  action: string,
  order: readonly Transport[],
  failures: readonly { name: string; error: TunnelError }[],
  cause: unknown,
): TunnelError {
  if (failures.length === 1 && order.length === 1) return failures[0]!.error;
  const final = failures.find(({ error }) => error.code === "usage" || error.code === "limit");
  if (final) return final.error;
  const parts = order.map(({ name }) => {
    const error = failures.find((failure) => failure.name === name)?.error;
    return `${name}: ${error ? error.parts.state : "no answer"}`;
  });
  return new TunnelError("unreachable", {
    action,
    state: parts.join(", "),
    remedy: "see that the relay runs there and that this network lets it through: tunnel doctor",
    cause,
  });
}
