/**
 * Where the streams of an operator's dials go. A session has few places, since each costs the relay
 * memory for thousands of devices alike; where they are taken, one more session of the same process is
 * opened, and leaves when nothing uses it any more.
 */

import { delay, untilAborted } from "./deadline.ts";
import { toTunnelError } from "./errors.ts";
import type { Link } from "./link.ts";
import { type Log, SILENT } from "./log.ts";

/** Milliseconds for which no other session is tried after one could not be had. */
const PAUSE = 5_000;

/** Where links come from; a {@linkcode Supervisor} is one. */
export interface LinkSource {
  link(timeout: number, signal?: AbortSignal): Promise<Link>;
  /**
   * One more link to the same relay. Without it dials wait for a place on the one there is.
   *
   * @param outgrown of this kind, but in the place of it
   */
  another?(signal: AbortSignal, outgrown?: Link): Promise<Link>;
}

/** A place for one stream; who has it opens that stream, and gives it back when the stream has ended. */
export interface Place {
  readonly link: Link;
  readonly release: () => void;
}

export interface PlacesOptions {
  readonly links: LinkSource;
  /** One of the sessions made here has another in its place: its work is to take a place anew. */
  readonly onOutgrown: (outgrown: Link) => void;
  /** Ends the sessions made here. */
  readonly signal: AbortSignal;
  readonly log?: Log;
}

export class Places {
  readonly #options: PlacesOptions;
  /** Links beside the current one. */
  readonly #more = new Set<Link>();
  #making: Promise<boolean> | undefined;
  #isPausing = false;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /**
   * A place on the current link, or on another one. Where there is none, and no other is to be had, the
   * stream waits on the current link until one has ended there.
   *
   * @param timeout milliseconds that there may be no link
   * @throws {TunnelError} `unreachable`, `aborted`, or what ended the source of links
   */
  async take(timeout: number, signal: AbortSignal): Promise<Place> {
    const current = await this.#options.links.link(timeout, signal);
    return await this.takeFree(current, signal) ?? placeOn(current);
  }

  /**
   * A place that a stream need not wait for, on this link or beside it; undefined where there is none.
   *
   * @throws {TunnelError} `aborted`
   */
  async takeFree(current: Link, signal: AbortSignal): Promise<Place | undefined> {
    for (;;) {
      const free = [current, ...this.#more].find(({ isFull }) => !isFull);
      if (free) return placeOn(free);
      if (!await this.#another(signal)) return undefined;
    }
  }

  /** Whether a link is one beside the current one. */
  has(link: Link): boolean {
    return this.#more.has(link);
  }

  /** Leaves the links by other transports to those who use them: a better one has come. */
  prefer(transport: string): void {
    for (const link of this.#more) {
      if (link.session.transport !== transport) this.#more.delete(link);
    }
  }

  /** False when another cannot be had now. One is made at a time. */
  async #another(signal: AbortSignal): Promise<boolean> {
    if (!this.#options.links.another || this.#isPausing) return false;
    this.#making ??= this.#make().finally(() => this.#making = undefined);
    return await untilAborted(this.#making, signal, "open one more session");
  }

  async #make(outgrown?: Link): Promise<boolean> {
    const { links, signal, log = SILENT, onOutgrown } = this.#options;
    try {
      const link = await links.another!(signal, outgrown);
      log.info("one more session is open", { via: link.session.transport });
      this.#keep(link);
      if (outgrown && this.#more.delete(outgrown)) onOutgrown(outgrown);
      return true;
    } catch (cause) {
      const { state } = toTunnelError(cause, "open one more session", "unreachable").parts;
      log.warn("no session beside the one that is full: dials wait", { why: state });
      this.#isPausing = true;
      delay(PAUSE, signal).then(() => this.#isPausing = false);
      return false;
    }
  }

  #keep(link: Link): void {
    const { session } = link;
    this.#more.add(link);
    const gone = () => void this.#more.delete(link);
    session.closed.then(gone, gone);
    session.outgrown?.then(() => this.#more.has(link) && this.#make(link));
    link.retire(this.#options.signal);
  }
}

function placeOn(link: Link): Place {
  return { link, release: link.hold() };
}
