/**
 * An emulated link between two network namespaces: delay, loss, rate, blackouts, a change of
 * address. It needs Linux, root, /dev/net/tun, `ip` and a C compiler; {@linkcode canEmulate} tells.
 *
 *     await using link = await openLink({ delay: 25, rate: 100 });
 *     await using server = new Running(link.far.command(["server", link.far.address]));
 *     await using client = new Running(link.near.command(["client", link.far.address]));
 *     await link.blackout(true);
 *
 * Link N of a process is 10.77.N.0/24: the far side is .2, the near side .1, and .3, .4, ... after
 * changes of its address. Nothing of it is seen outside the two namespaces. linkem.c carries the
 * packets and says what the figures mean.
 */

import { describe, toTunnelError } from "../../core/errors.ts";
import { find } from "../../tests/require.ts";
import { ip, type Namespace, Side } from "./namespace.ts";
import { Linkem } from "./process.ts";

export type { Namespace } from "./namespace.ts";

/** Programs of the machine without which there is no link. */
export const PROGRAMS: readonly string[] = ["ip", "cc"];

/** One figure for both directions, or one for each. */
export type Directed = number | { readonly toFar: number; readonly toNear: number };

export interface LinkOptions {
  /** Milliseconds one way, the same both ways; 0 to 60,000, 0 by default. */
  readonly delay?: number;
  /** Percent of the packets, lost at random; 0 to 100, 0 by default. */
  readonly loss?: Directed;
  /** 10^6 bits of IP packets per second; 0, the default, for no limit. */
  readonly rate?: Directed;
  /** Bytes that may wait for the rate; by default the rate times the round trip, at least 96,000. */
  readonly queue?: Directed;
  /** Of the losses: the same seed loses the same packets of a direction; 1 by default. */
  readonly seed?: number;
  /** Bytes of the largest packet; 68 to 65,535, 1,500 by default. */
  readonly mtu?: number;
}

/** What became of the packets of one direction; those still under way at the end are in none. */
export interface Counters {
  /** Delivered. */
  readonly packets: number;
  /** Delivered, with their IP headers. */
  readonly bytes: number;
  /** Dropped at random. */
  readonly lost: number;
  /** Dropped because the queue was full. */
  readonly overflowed: number;
  /** Dropped by a blackout. */
  readonly dark: number;
  /** Dropped because UDP was blocked. */
  readonly blocked: number;
  /** Dropped because the device at the end was down. */
  readonly refused: number;
}

export interface LinkCounters {
  readonly toFar: Counters;
  readonly toNear: Counters;
}

/** A running link. Who starts programs on its sides ends them before the link. */
export interface Link extends AsyncDisposable {
  readonly near: Namespace;
  readonly far: Namespace;
  /** Of the process that carries the packets. */
  readonly pid: number;
  /** Drops every packet, those under way as well; settles when it is so, or is no more. */
  blackout(on: boolean): Promise<void>;
  /** Drops UDP, that under way as well; settles when it is so, or is no more. */
  blockUdp(on: boolean): Promise<void>;
  /**
   * Has new TCP connections over the link use this congestion control; before, it is the machine's.
   *
   * @param algorithm as the kernel names it: "cubic", "bbr"
   * @throws {TunnelError} `unavailable` when it has none of that name
   */
  useTcp(algorithm: string): Promise<void>;
  /** Takes the near side's address and gives it one that it never had; returns that. */
  changeAddress(): Promise<string>;
  /** Ends the link and removes its namespaces. */
  end(): Promise<LinkCounters>;
}

/** Why this machine cannot emulate a link; undefined when it can. */
export async function canEmulate(): Promise<string | undefined> {
  const absent = PROGRAMS.filter((program) => !find(program));
  if (absent.length > 0) return `needs ${absent.join(", ")}`;
  try {
    (await Deno.open("/dev/net/tun", { read: true, write: true })).close();
    const { near } = newSides();
    await ip(["netns", "add", near.name]);
    await ip(["netns", "delete", near.name]);
  } catch (error) {
    return describe(error);
  }
}

/**
 * Opens a link; packets flow when it settles.
 *
 * @throws {TunnelError} `usage` when a figure is out of its range, `unavailable` when the machine
 * refuses
 */
export async function openLink(options: LinkOptions = {}): Promise<Link> {
  const { near, far } = newSides();
  const link = new EmulatedLink(near, far, await Linkem.start(near.name, far.name, flags(options)));
  try {
    for (const side of [near, far]) await side.start(options.mtu ?? 1500);
    return link;
  } catch (error) {
    await link.end();
    throw toTunnelError(error, "open a link", "unavailable");
  }
}

class EmulatedLink implements Link {
  readonly near: Side;
  readonly far: Side;
  readonly #linkem: Linkem;
  #lastHost = FAR_HOST;

  constructor(near: Side, far: Side, linkem: Linkem) {
    this.near = near;
    this.far = far;
    this.#linkem = linkem;
  }

  get pid(): number {
    return this.#linkem.pid;
  }

  blackout(on: boolean): Promise<void> {
    return this.#linkem.set("blackout", on);
  }

  blockUdp(on: boolean): Promise<void> {
    return this.#linkem.set("udp-block", on);
  }

  async useTcp(algorithm: string): Promise<void> {
    for (const side of [this.near, this.far]) await side.useTcp(algorithm);
  }

  async changeAddress(): Promise<string> {
    await this.near.moveTo(++this.#lastHost);
    return this.near.address;
  }

  async end(): Promise<LinkCounters> {
    return JSON.parse(await this.#linkem.end());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

const NEAR_HOST = 1;
const FAR_HOST = 2;

/** Pairs of names and networks that this process has used. */
let pairs = 0;

function newSides(): { near: Side; far: Side } {
  const number = pairs++;
  const side = (name: string, host: number) =>
    new Side(`tunnel-${Deno.pid}-${number}-${name}`, `10.77.${number % 256}`, host);
  return { near: side("near", NEAR_HOST), far: side("far", FAR_HOST) };
}

function flags({ delay, loss, rate, queue, seed }: LinkOptions): string[] {
  return Object.entries({ delay, loss, rate, queue, seed })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) =>
      `--${name}=${typeof value === "object" ? `${value.toFar},${value.toNear}` : value}`
    );
}
