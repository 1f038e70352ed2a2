/** The service's half of dials: opens channels to devices' ports, and keeps them over any loss. */

import { formatTarget, type Target } from "./allow.ts";
import { APPROVAL_WAIT } from "./approval.ts";
import { Backoff } from "./backoff.ts";
import { Channel, type ChannelOptions } from "./channel/channel.ts";
import type { ChannelIdentity, Established, Said } from "./channel/handshake.ts";
import { delay, withDeadline } from "./deadline.ts";
import { type ErrorCode, toTunnelError, TunnelError } from "./errors.ts";
import type { Duplex } from "./duplex.ts";
import type { Link } from "./link.ts";
import { type Log, SILENT } from "./log.ts";
import { type OpenOptions, PathAsker } from "./path_asker.ts";
import type { PeersOptions } from "./peers.ts";
import { type LinkSource, type Place, Places } from "./places.ts";
import { Carriers, type Purpose } from "./shared/carriers.ts";

/** Milliseconds that a channel without a path is kept by default: 5 minutes. */
export const DEFAULT_RESUME_WINDOW = 300_000;
/** Milliseconds until a device must have answered; more than a relay waits. */
const DIAL_TIMEOUT = 45_000;
/** Milliseconds that closing may take to tell the devices. */
const FAREWELL = 2_000;

/** Errors of a re-attach that another attempt cannot mend. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  "refused",
  "replaced",
  "gone",
  "unknown",
  "target",
  "protocol",
  "usage",
  "internal",
]);

export interface DialerOptions extends PeersOptions {
  readonly links: LinkSource;
  /** Read anew for each handshake, so that it may change. */
  readonly identity: ChannelIdentity;
  /** Milliseconds that a channel without a path is kept; default 300,000. 0: it is reset at once. */
  readonly resumeWindow?: number;
  /** Milliseconds that a device may have somebody decide about a dial; default 300,000. */
  readonly approvalTimeout?: number;
  readonly channel?: Omit<ChannelOptions, "announce" | "onDetached">;
  readonly log?: Log;
}

export interface DialOptions {
  /** Milliseconds until the device must have answered, beside a wait for approval; default 45,000. */
  readonly timeout?: number;
  /** What it is for, as {@linkcode parseReason} takes it; relay and device are told. */
  readonly reason?: string;
  /**
   * Asked once the device has accepted, for bytes that are to go first: they leave with the first
   * message. They are taken at once.
   */
  readonly early?: () => Uint8Array | undefined;
  readonly signal?: AbortSignal;
}

/** A channel with what it takes to attach it again. */
interface Entry {
  readonly channel: Channel;
  readonly device: string;
  readonly target: Target;
  readonly said: Said;
  readonly established: Established;
  attempt: number;
  /** The link under its current path. */
  link: Link;
  attaching: boolean;
}

export class Dialer {
  readonly #options: DialerOptions;
  readonly #asker: PathAsker;
  readonly #carriers: Carriers;
  readonly #places: Places;
  readonly #log: Log;
  readonly #entries = new Set<Entry>();
  readonly #closed = new AbortController();

  constructor(options: DialerOptions) {
    this.#options = options;
    this.#asker = new PathAsker(options);
    this.#carriers = new Carriers((purpose) => this.#dialShared(purpose));
    this.#log = options.log ?? SILENT;
    this.#places = new Places({
      links: options.links,
      onOutgrown: (outgrown) => {
        for (const entry of this.#entries) if (entry.link === outgrown) this.#move(entry);
      },
      signal: this.#closed.signal,
      log: options.log,
    });
  }

  /** Channels that are not over. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Opens a connection to a target of a device: a channel of its own, or where many come in quick
   * succession a place in one that they share. In that case it is there at once, and its first read
   * rejects when the device cannot make it.
   *
   * @throws {TunnelError} as {@linkcode Dialer.dial}
   */
  async connect(device: string, target: Target, options: DialOptions = {}): Promise<Duplex> {
    const { reason, signal } = options;
    const purpose = { device, target, reason };
    const carrier = this.#carriers.take(purpose);
    if (!carrier) {
      const channel = await this.dial(device, target, options);
      const ended = () => this.#carriers.ended(purpose, channel.carried);
      channel.closed.then(ended, ended);
      return channel;
    }
    const action = `dial ${device}:${formatTarget(target)}`;
    return await carrier.open(action, options.early?.(), signal);
  }

  /**
   * Opens a channel to a target of a device.
   *
   * @throws {TunnelError} `unknown`, `offline`, `target`, `refused`, `timeout`, `reset`, `aborted`
   */
  async dial(device: string, target: Target, options: DialOptions = {}): Promise<Channel> {
    return (await this.#dial(device, target, options)).channel;
  }

  async #dial(
    device: string,
    target: Target,
    options: DialOptions & { shared?: boolean },
  ): Promise<Entry> {
    const { timeout = DIAL_TIMEOUT, reason } = options;
    const said = { reason, shared: options.shared };
    const action = `dial ${device}:${formatTarget(target)}`;
    const signal = this.#untilClosed(options.signal);
    try {
      return await withDeadline({ action, timeout, signal }, async (signal, extend) => {
        let place = await this.#places.take(timeout, signal);
        const onPending = (wait: number) => {
          const most = Math.min(wait, this.#options.approvalTimeout ?? APPROVAL_WAIT);
          extend(most + timeout);
          this.#log.warn("waiting for approval", { device, seconds: Math.ceil(most / 1_000) });
        };
        const how: OpenOptions = { action, signal, said, onPending };
        const open = () => this.#asker.open(place, device, target, how);
        const opened = await open().catch(async (cause) => {
          if (!place.link.isSilent) throw cause;
          // Nothing of the connection has gone out yet: it may as well be dialled again.
          place = await this.#places.take(timeout, signal);
          return await open();
        });
        const { path, established } = opened;
        const channel = new Channel({
          ...this.#options.channel,
          announce: true,
          onDetached: (cause) => this.#detached(entry, cause),
        });
        const entry: Entry = {
          channel,
          device,
          target,
          said,
          established,
          attempt: 0,
          link: place.link,
          attaching: false,
        };
        this.#entries.add(entry);
        channel.closed.catch(() => {}); // Its user sees how it ended.
        channel.released.then(() => this.#entries.delete(entry));
        const early = options.early?.();
        const written = early && channel.write(early);
        channel.attach(path, 0);
        await written;
        return entry;
      });
    } catch (cause) {
      throw toTunnelError(cause, action, "reset").during(action);
    }
  }

  /**
   * Gets what it takes to dial a device, so that the first dial need not, and says if it cannot be.
   *
   * @throws {TunnelError} `unknown`, `offline`, `refused`, `timeout`, `reset`, `aborted`
   */
  async prepare(
    device: string,
    { timeout = DIAL_TIMEOUT, signal }: DialOptions = {},
  ): Promise<void> {
    const action = `connect ${device}`;
    const options = { action, timeout, signal: this.#untilClosed(signal) };
    try {
      await withDeadline(options, async (signal) => {
        const link = await this.#options.links.link(timeout, signal);
        await this.#asker.find(device, link, signal);
      });
    } catch (cause) {
      throw toTunnelError(cause, action, "reset").during(action);
    }
  }

  /**
   * Moves channels to this link, for instance one by a better transport, and to others beside it where
   * it is full. What goes by another of the same transport stays.
   */
  move(link: Link): void {
    this.#places.prefer(link.session.transport);
    for (const entry of this.#entries) {
      if (entry.link !== link && !this.#places.has(entry.link)) this.#move(entry, link);
    }
  }

  /** Moves a channel to another place, if it has one now. Never rejects. */
  async #move(entry: Entry, link?: Link): Promise<void> {
    const { device, channel } = entry;
    const { signal } = this.#closed;
    let isBegun = false;
    try {
      const current = link ?? await this.#options.links.link(DIAL_TIMEOUT, signal);
      const place = await this.#places.takeFree(current, signal);
      // Whoever has lost the path meanwhile sees to another.
      if (!place || entry.attaching || !channel.path) return place?.release();
      isBegun = true;
      await this.#attach(entry, place, signal);
    } catch (cause) {
      const error = toTunnelError(cause, "move a channel", "reset");
      this.#log.debug("a channel stays where it is", { device, why: error.parts.state });
      // The path before may have gone while the new one was made.
      if (isBegun && !channel.path) this.#detached(entry, error);
    }
  }

  /** Resets every channel and tells the devices, as far as they can be reached. */
  async close(): Promise<void> {
    const error = new TunnelError("closed", { action: "use the channel", state: "it was closed" });
    const entries = [...this.#entries];
    for (const { channel } of entries) channel.reset(error);
    const told = entries.filter(({ channel }) => channel.path).map(({ channel }) =>
      channel.released
    );
    const late = new AbortController();
    await Promise.race([Promise.all(told), delay(FAREWELL, late.signal)]);
    late.abort();
    this.#closed.abort(error);
    this.#asker.close();
    for (const { channel } of entries) channel.abandon(error);
  }

  /** A channel for many connections; undefined when it is not to be had. */
  async #dialShared({ device, target, reason }: Purpose): Promise<Channel | undefined> {
    try {
      const { channel, established } = await this.#dial(device, target, { reason, shared: true });
      if (established.shared) {
        this.#log.debug("connections share a channel", { device, target: formatTarget(target) });
        return channel;
      }
      // A device that knows of no such channels has connected this one.
      const state = "it is shared between connections, or of no use";
      channel.reset(new TunnelError("reset", { action: "use the channel", state }));
    } catch (cause) {
      if (toTunnelError(cause, "share a channel", "reset").code !== "refused") throw cause;
    }
  }

  #detached(entry: Entry, cause: TunnelError): void {
    if (entry.attaching) return;
    const { device, channel } = entry;
    if (this.#options.resumeWindow === 0) return channel.abandon(cause);
    this.#log.info("channel detached", { device, why: cause.parts.state });
    this.#resume(entry).catch((end) => {
      const error = toTunnelError(end, `resume the channel to ${device}`, "reset");
      channel.abandon(error.code === "timeout" ? this.#expired(device, cause) : error);
    });
  }

  /** Attaches a channel again, as soon as that can be, within its window. */
  async #resume(entry: Entry): Promise<void> {
    const { resumeWindow = DEFAULT_RESUME_WINDOW } = this.#options;
    const action = `resume the channel to ${entry.device}`;
    const backoff = new Backoff({});
    const { signal } = this.#closed;
    await withDeadline({ action, timeout: resumeWindow, signal }, async (signal) => {
      for (;;) {
        try {
          const place = await this.#places.take(resumeWindow, signal);
          return await this.#attach(entry, place, signal);
        } catch (cause) {
          const error = toTunnelError(cause, action, "reset");
          if (signal.aborted || FINAL.has(error.code)) throw error;
          this.#log.debug("not resumed yet", { device: entry.device, why: error.parts.state });
          await delay(backoff.next(), signal);
        }
      }
    });
  }

  async #attach(entry: Entry, place: Place, signal: AbortSignal): Promise<void> {
    const { channel, device, target, said, established } = entry;
    const began = performance.now();
    entry.attaching = true;
    try {
      const { id, secret } = established;
      const resume = { id, secret, attempt: ++entry.attempt, received: channel.received };
      const action = `resume the channel to ${device}`;
      const how: OpenOptions = { action, signal, said, resume };
      const opened = await this.#asker.open(place, device, target, how);
      const { link } = place;
      entry.link = link;
      channel.attach(opened.path, opened.established.received);
      const took = Math.round(performance.now() - began);
      this.#log.info("channel resumed", { device, via: link.session.transport, ms: took });
    } finally {
      entry.attaching = false;
    }
  }

  #expired(device: string, cause: TunnelError): TunnelError {
    const window = this.#options.resumeWindow ?? DEFAULT_RESUME_WINDOW;
    return new TunnelError("reset", {
      action: "use the channel",
      state: `the path to ${device} was lost, and no other came within ${window / 1_000} s`,
      remedy: "see `tunnel doctor`, here and there",
      cause,
    });
  }

  #untilClosed(signal?: AbortSignal): AbortSignal {
    const { signal: closed } = this.#closed;
    return signal ? AbortSignal.any([signal, closed]) : closed;
  }
}
