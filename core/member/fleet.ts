/** What an operator's program sees of its fleet. */

import { Admin } from "../admin.ts";
import type { Channel } from "../channel/channel.ts";
import type { DeviceInfo } from "../control.ts";
import { decideDial, type NamedDial, waitingDials } from "../decide.ts";
import { TunnelError } from "../errors.ts";
import type { Link } from "../link.ts";
import { parseDeviceId, parseReason, type Target } from "../names.ts";
import { type ByteStreams, toStreams } from "../streams.ts";
import { type Invitation, invite } from "./invite.ts";
import { Operator, type OperatorOptions } from "./operator.ts";
import { targetOf } from "./target.ts";
import { type DeviceChange, watchDevices } from "./watch.ts";

/** Milliseconds for the next session with the relay, after a loss. */
const LINK_TIMEOUT = 20_000;

/** How a device is dialled. */
export interface FleetDialOptions {
  /** What it is for: 1 to 200 characters of one line, told to relay and device. */
  readonly reason?: string;
  /**
   * Milliseconds until the device must have answered, beside a wait for approval, which it announces;
   * default 45,000.
   */
  readonly timeout?: number;
  /** Gives up the dial. A stream that is open goes on: see {@linkcode FleetStream.reset}. */
  readonly signal?: AbortSignal;
}

/**
 * A connection to a target of a device: encrypted from end to end, in order, each byte once. It
 * outlives the path under it, for as long as the resume window.
 *
 * Reading and writing have backpressure. Closing `writable` ends the outgoing direction alone, and
 * the device's end sees that; cancelling `readable` or aborting `writable` resets both.
 */
export interface FleetStream extends ByteStreams, AsyncDisposable {
  readonly info: {
    /** The device's ID. */
    readonly device: string;
    readonly target: Target;
    /** The name of the transport that it was opened over: "quic", "webtransport", "websocket". */
    readonly transport: string;
  };
  /**
   * Fulfils when both directions have ended and the device has everything. Rejects with a
   * `TunnelError`: `reset` when the other end reset it, or no path came within the resume window;
   * `refused` when the operator may not use it any more; `closed` when the fleet was closed.
   */
  readonly closed: Promise<void>;
  /** Ends both directions at once; the device's end sees a reset with this reason. */
  reset(why?: string): void;
}

/**
 * An operator's fleet, as {@linkcode connect} opens it: signed in at its relay, signed in again after
 * a loss, its credential renewed in time.
 */
export class Fleet implements AsyncDisposable {
  /** Who this operator is. */
  readonly operator: string;
  /** The relay, `tunnel://host:port`. */
  readonly relay: string;
  /**
   * Fulfils after {@linkcode Fleet.close}. Rejects with a `TunnelError` when the relay is not to be
   * asked again: `refused` (revoked, or the credential has ended).
   */
  readonly closed: Promise<void>;
  readonly #operator: Operator;
  readonly #ending = new AbortController();
  #closing?: Promise<void>;

  private constructor(operator: Operator) {
    const { identity, closed } = operator.presence;
    this.operator = identity.name;
    this.relay = identity.relay;
    this.closed = closed;
    this.#operator = operator;
  }

  /**
   * Signs in. The first failure to connect is final, a loss later is not.
   *
   * @param signal gives up the first attempt
   * @throws {TunnelError} `unreachable`, `refused`, `aborted` and what else a sign-in throws
   */
  static async open(options: OperatorOptions, signal?: AbortSignal): Promise<Fleet> {
    return new Fleet(await Operator.open(options, signal));
  }

  /** The name of the transport to the relay now; undefined while there is no session with it. */
  get transport(): string | undefined {
    return this.#operator.presence.supervisor.current?.session.transport;
  }

  /** Streams that are open, those included that wait for a path. */
  get streams(): number {
    return this.#operator.dialer.size;
  }

  /**
   * Opens a stream to a target of a device.
   *
   * @param device its ID
   * @param target a port of the device itself (1 to 65,535), or `host:port` beside it
   * @throws {TunnelError} `unknown`, `offline`, `refused` (no grant, or the device says no), `target`
   * (the device does not allow it or cannot reach it), `timeout`, `reset`, `usage`, `aborted`
   *
   * @example
   * ```ts
   * import { connect, fileStore } from "@tunnel/tunnel";
   *
   * await using fleet = await connect({ store: fileStore("./operator") });
   * await using stream = await fleet.dial("x", 80, { reason: "ticket 4711" });
   * const writer = stream.writable.getWriter();
   * await writer.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
   * await writer.close(); // Half-close: the answer still comes.
   * console.log(await new Response(stream.readable).text());
   * ```
   */
  async dial(
    device: string,
    target: number | string | Target,
    options: FleetDialOptions = {},
  ): Promise<FleetStream> {
    const { reason, timeout, signal } = options;
    const { dialer, presence } = this.#operator;
    const id = parseDeviceId(device);
    const wanted = targetOf(target);
    const said = reason === undefined ? undefined : parseReason(reason);
    const channel = await dialer.dial(id, wanted, { reason: said, timeout, signal });
    const transport = presence.supervisor.current?.session.transport ?? "unknown";
    return streamOf(channel, { device: id, target: wanted, transport });
  }

  /**
   * Every device that this operator has a grant for, by ID; an admin sees all.
   *
   * @throws {TunnelError} `unreachable` when there is no session with the relay within 20 s; `limit`
   * when there are more than 100,000; `timeout`, `reset`, `closed`, `aborted`
   */
  async devices(signal?: AbortSignal): Promise<DeviceInfo[]> {
    return await (await this.#link(signal)).devices(this.#bounded(signal));
  }

  /**
   * One device.
   *
   * @throws {TunnelError} `unknown`; `refused` without a grant for it; else as
   * {@linkcode Fleet.devices}
   */
  async device(id: string, signal?: AbortSignal): Promise<DeviceInfo> {
    const known = parseDeviceId(id);
    return await (await this.#link(signal)).device(known, this.#bounded(signal));
  }

  /**
   * Yields every device that this operator may see, as `added`, then whatever changes: presence as it
   * happens, figures (connections, bytes, round trip) about once a second. Whoever takes changes
   * slowly gets the latest of each device. After a loss of the relay what is different by then is
   * yielded. Ends when the loop is left, or the fleet closed.
   *
   * @throws {TunnelError} `aborted` when the signal fires; `refused` when the operator is revoked;
   * `limit` when there are more than 100,000 devices
   *
   * @example
   * ```ts
   * import { connect, fileStore } from "@tunnel/tunnel";
   *
   * await using fleet = await connect({ store: fileStore("./operator") });
   * for await (const { type, device } of fleet.watch()) {
   *   console.log(type, device.id, device.transport, device.roundTrip);
   * }
   * ```
   */
  async *watch(signal?: AbortSignal): AsyncGenerator<DeviceChange, void, void> {
    try {
      yield* watchDevices(this.#operator.presence.supervisor, this.#bounded(signal));
    } catch (cause) {
      if (!this.#ending.signal.aborted) throw cause;
    }
  }

  /**
   * The dials that wait for this operator's decision, oldest first.
   *
   * @throws {TunnelError} as {@linkcode Fleet.devices}
   */
  async waitingDials(signal?: AbortSignal): Promise<NamedDial[]> {
    return await waitingDials(await this.#link(signal), this.#bounded(signal));
  }

  /**
   * Decides about a dial that waits, and signs that.
   *
   * @param id as in {@linkcode Fleet.waitingDials}: it stands for all that was shown
   * @returns the dial
   * @throws {TunnelError} `gone` when it waits no longer; else as {@linkcode Fleet.devices}
   */
  async decide(id: string, accept: boolean, signal?: AbortSignal): Promise<NamedDial> {
    const link = await this.#link(signal);
    const claim = this.#operator.presence.membership.claim();
    return await decideDial(link, claim, { id, accept, signal: this.#bounded(signal) });
  }

  /**
   * Administration: operators, grants, invitations, the audit trail. What is asked is refused to who
   * is no admin, but for a look at its own grants.
   */
  get admin(): Admin {
    const link = {
      request: async (...[request, options]: Parameters<Link["request"]>) =>
        await (await this.#link(options?.signal)).request(request, options),
    };
    return new Admin(link, this.#ending.signal);
  }

  /**
   * Invites a device or an operator to the fleet, as an admin may.
   *
   * @returns the join string, which nothing keeps: hand it over like a password
   * @throws {TunnelError} `refused` when this operator is no admin; `usage` when the name is none, a
   * grant is malformed, or it would end before it is made; else as {@linkcode Fleet.devices}
   *
   * @example
   * ```ts
   * import { connect, fileStore } from "@tunnel/tunnel";
   *
   * await using fleet = await connect({ store: fileStore("./admin") });
   * const grants = [{ scope: "line3-*:22", until: Date.now() + 8 * 3_600_000 }];
   * console.log(await fleet.invite({ role: "operator", name: "anna", grants }));
   * ```
   */
  async invite(invitation: Invitation): Promise<string> {
    const { admin } = this;
    return await invite(
      invitation,
      this.#operator.presence.identity,
      (change) => admin.change(change),
    );
  }

  /**
   * Milliseconds to the relay and back, through its engine.
   *
   * @throws {TunnelError} as {@linkcode Fleet.devices}
   */
  async ping(signal?: AbortSignal): Promise<number> {
    return await (await this.#link(signal)).ping(this.#bounded(signal));
  }

  /** Resets every stream, tells the devices, and signs out. Never rejects. */
  close(): Promise<void> {
    this.#ending.abort(
      new TunnelError("closed", { action: "use the fleet", state: "it was closed" }),
    );
    return this.#closing ??= this.#operator.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #link(signal?: AbortSignal): Promise<Link> {
    return this.#operator.presence.supervisor.link(LINK_TIMEOUT, this.#bounded(signal));
  }

  #bounded(signal?: AbortSignal): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#ending.signal]) : this.#ending.signal;
  }
}

function streamOf(channel: Channel, info: FleetStream["info"]): FleetStream {
  const reset = (why = "it was given up") =>
    channel.reset(new TunnelError("reset", { action: "use the stream", state: why }));
  return {
    ...toStreams(channel),
    info,
    closed: channel.closed,
    reset,
    [Symbol.asyncDispose]() {
      reset();
      return Promise.resolve();
    },
  };
}
