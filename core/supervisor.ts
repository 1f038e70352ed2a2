/** Keeps a link to a relay: the only reconnect loop there is. */

import { Backoff, type BackoffOptions } from "./backoff.ts";
import { abortError, delay, withDeadline } from "./deadline.ts";
import { type ErrorCode, toTunnelError, TunnelError } from "./errors.ts";
import type { Link } from "./link.ts";
import { CloseCode } from "./transport.ts";

/** Milliseconds after which a link counts as a good one. */
const LASTING = 10_000;

/** Milliseconds; see {@linkcode SupervisorOptions.impatience}. */
const IMPATIENCE = 1_000;

/** Errors that another attempt cannot mend. */
const FINAL: ReadonlySet<ErrorCode> = new Set(["refused", "replaced", "usage", "internal"]);

export interface SupervisorOptions {
  /** One attempt: connects and signs in. */
  connect(signal: AbortSignal): Promise<Link>;
  /**
   * One attempt at a better transport than the current link's; undefined when that is the best
   * already. A rejection means: not now.
   */
  improve?(current: Link, signal: AbortSignal): Promise<Link | undefined>;
  /** Milliseconds between attempts to improve; default 3 minutes. */
  improveEvery?: number;
  /** One attempt at a link in the place of one whose session is outgrown. */
  remake?(current: Link, signal: AbortSignal): Promise<Link>;
  /** Whether a failure of the very first attempt is final too: default false. */
  failFast?: boolean;
  /**
   * A link is up: new work goes to it from now on. Errors it throws end the supervisor.
   *
   * @param outgrown the one whose place it takes, and whose work does better on the new one
   */
  onUp?(link: Link, outgrown?: Link): void;
  /** The link was lost, or an attempt failed; the next is due in `retryIn` milliseconds. */
  onDown?(error: TunnelError, retryIn: number): void;
  /** An attempt to improve or remake failed; work goes on as before. */
  onImproveFailed?(error: TunnelError): void;
  backoff?: BackoffOptions;
  /** Milliseconds between attempts, at most, while somebody waits for a link; default 1,000. */
  impatience?: number;
}

/** A link that is made again whenever it is lost, until it is refused or the caller stops it. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  #link?: Link;
  #up = Promise.withResolvers<Link>();
  #last?: TunnelError;
  #wasUp = false;
  /** Milliseconds over which those like this one spread when all have lost their link. */
  #spread = 0;
  /** Those who wait for a link. */
  #waiting = 0;
  #hurry = new AbortController();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#up.promise.catch(() => {});
  }

  /**
   * Connects and reconnects until the signal fires.
   *
   * @throws {TunnelError} what ended it: `refused`, `replaced`, `usage`, or with `failFast` any
   */
  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#options.backoff);
    try {
      while (!signal.aborted) {
        const { error, lasted } = await this.#attempt(signal);
        if (signal.aborted) return;
        const hopeless = this.#options.failFast && !this.#wasUp;
        if (hopeless || FINAL.has(error.code)) throw error;
        this.#last = error;
        // A link that lasted was a good one: the first new attempt then comes soon.
        if (lasted > LASTING) backoff.reset();
        const wait = backoff.next(this.#spread);
        this.#options.onDown?.(error, wait);
        await this.#pause(wait, signal);
      }
    } catch (cause) {
      const error = toTunnelError(cause, "keep the session", "internal");
      this.#up.reject(error);
      throw error;
    } finally {
      if (signal.aborted) this.#up.reject(abortError(signal, "wait for the relay"));
    }
  }

  /** The current link, if there is one. */
  get current(): Link | undefined {
    return this.#link;
  }

  /**
   * The current link, or the next one.
   *
   * @param timeout milliseconds
   * @throws {TunnelError} `unreachable` when there is none in time, or what ended the supervisor
   */
  async link(timeout: number, signal?: AbortSignal): Promise<Link> {
    if (this.#link) return this.#link;
    const action = "wait for the relay";
    this.#waiting++;
    this.#hurry.abort();
    try {
      return await withDeadline({ action, timeout, signal }, () => this.#up.promise);
    } catch (cause) {
      if (!(cause instanceof TunnelError) || cause.code !== "timeout" || !this.#last) throw cause;
      throw new TunnelError("unreachable", this.#last.parts);
    } finally {
      this.#waiting--;
    }
  }

  /**
   * One more link, which nobody supervises.
   *
   * @param outgrown of its kind, and in its place
   * @throws {TunnelError} as an attempt to connect or remake does
   */
  async another(signal: AbortSignal, outgrown?: Link): Promise<Link> {
    const { connect, remake } = this.#options;
    return await (outgrown && remake ? remake(outgrown, signal) : connect(signal));
  }

  /** Waits before the next attempt, and not for long while somebody waits for its result. */
  async #pause(wait: number, signal: AbortSignal): Promise<void> {
    const least = Math.min(wait, this.#options.impatience ?? IMPATIENCE);
    await delay(least, signal);
    if (this.#waiting > 0) return;
    this.#hurry = new AbortController();
    await delay(wait - least, AbortSignal.any([signal, this.#hurry.signal]));
  }

  /** One link from its making to its end: why it ended, and after how many milliseconds. */
  async #attempt(signal: AbortSignal): Promise<{ error: TunnelError; lasted: number }> {
    let link: Link;
    try {
      link = await this.#options.connect(signal);
    } catch (cause) {
      return { error: toTunnelError(cause, "connect", "unreachable"), lasted: 0 };
    }
    const began = performance.now();
    let outgrown: Link | undefined;
    for (;;) {
      this.#announce(link, outgrown);
      const next = await this.#hold(link, signal);
      if (next instanceof TunnelError) {
        this.#link = undefined;
        // Whoever carries something goes ahead of those who are idle.
        this.#spread = link.isUsed ? 0 : link.spread;
        this.#up = Promise.withResolvers();
        this.#up.promise.catch(() => {});
        return { error: next, lasted: performance.now() - began };
      }
      // The one before lives on until its streams have ended; its end is nobody's loss.
      link.retire(signal);
      outgrown = next.outgrown ? link : undefined;
      link = next.link;
    }
  }

  #announce(link: Link, outgrown?: Link): void {
    this.#link = link;
    this.#wasUp = true;
    this.#up.resolve(link);
    this.#options.onUp?.(link, outgrown);
  }

  /** Waits for the end of a link, or for a better one. */
  async #hold(link: Link, signal: AbortSignal): Promise<Next | TunnelError> {
    const settled = new AbortController();
    const stop = () => link.session.close({ code: CloseCode.done, reason: "" });
    signal.addEventListener("abort", stop, { once: true });
    const ended = link.closed.then(
      ({ reason }) =>
        new TunnelError("closed", {
          action: "keep the session",
          state: reason || "the relay closed it",
        }),
      (cause) => toTunnelError(cause, "keep the session", "reset"),
    );
    if (signal.aborted) stop();
    try {
      const improved = this.#improved(link, settled.signal);
      return await Promise.race([ended, improved, this.#remade(link, settled.signal)]);
    } finally {
      settled.abort();
      signal.removeEventListener("abort", stop);
    }
  }

  async #improved(link: Link, signal: AbortSignal): Promise<Next> {
    const { improve, improveEvery = 180_000, onImproveFailed } = this.#options;
    while (improve && !signal.aborted) {
      await delay(improveEvery, signal);
      if (signal.aborted) break;
      try {
        const better = await improve(link, signal);
        if (better === undefined) break;
        if (!signal.aborted) return { link: better, outgrown: false };
        better.session.close();
      } catch (cause) {
        if (!signal.aborted) onImproveFailed?.(toTunnelError(cause, "improve", "unreachable"));
      }
    }
    return await new Promise<never>(() => {});
  }

  async #remade(link: Link, signal: AbortSignal): Promise<Next> {
    const { remake, onImproveFailed } = this.#options;
    if (remake && link.session.outgrown) {
      await link.session.outgrown;
      try {
        const made = await remake(link, signal);
        if (!signal.aborted) return { link: made, outgrown: true };
        made.session.close();
      } catch (cause) {
        if (!signal.aborted) onImproveFailed?.(toTunnelError(cause, "improve", "unreachable"));
      }
    }
    return await new Promise<never>(() => {});
  }
}

/** A link in the place of another, which is outgrown, or only of a lesser kind. */
interface Next {
  readonly link: Link;
  readonly outgrown: boolean;
}
