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
  #more = new Set<Link>();
  #making: Promise<boolean> | undefined;
  #isPausing = false;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /**
   * A place on the current link, or on another one.
   *
   * @param timeout milliseconds that there may be no link
   * @param preferred the current link, by default the source's
   * @throws {TunnelError} `unreachable`, `aborted`, or what ended the source of links
   */
  async take(timeout: number, signal: AbortSignal, preferred?: Link): Promise<Place> {
    for (;;) {
      const current = preferred ?? await this.#options.links.link(timeout, signal);
      const free = [current, ...this.#more].find(({ isFull }) => !isFull);
      if (free) return placeOn(free);
      // Where there is no other, the stream waits until one has ended here.
      if (!await this.#another(signal)) return placeOn(current);
    }
  }

  /** Leaves the links of before to those who use them: a better one has come. */
  leave(): void {
    this.#more = new Set();
  }

  /** False when another cannot be had now. One is made at a time. */
  async #another(signal: AbortSignal): Promise<boolean> {
    if (!this.#options.links.another || this.#isPausing) return false;
    this.#making ??= this.#make().finally(() => this.#making = undefined);
    return await untilAborted(this.#making, signal, "open one more session");
  }

  async #make(outgrown?: Link): Promise<boolean> {
    const { links, signal, log = SILENT, onOutgrown } = this.#options;
    // Those of now: whoever leaves them meanwhile leaves this one too.
    const more = this.#more;
    try {
      const link = await links.another!(signal, outgrown);
      log.info("one more session is open", { via: link.session.transport });
      this.#keep(link, more);
      if (outgrown && more.delete(outgrown)) onOutgrown(outgrown);
      return true;
    } catch (cause) {
      const { state } = toTunnelError(cause, "open one more session", "unreachable").parts;
      log.warn("no session beside the one that is full: dials wait", { why: state });
      this.#isPausing = true;
      delay(PAUSE, signal).then(() => this.#isPausing = false);
      return false;
    }
  }

  #keep(link: Link, more: Set<Link>): void {
    const { session } = link;
    more.add(link);
    const gone = () => void more.delete(link);
    session.closed.then(gone, gone);
    session.outgrown?.then(() => this.#more.has(link) && this.#make(link));
    link.retire(this.#options.signal);
  }
}

function placeOn(link: Link): Place {
  return { link, release: link.hold() };
}
