/** A device at its relay: a presence, and the serving of dials. */

import { untilAborted } from "../deadline.ts";
import { Device, type DeviceOptions } from "../device.ts";
import { type Principal, Verifier } from "../identity/credential.ts";
import type { Link } from "../link.ts";
import { Presence, type PresenceOptions } from "./presence.ts";
import { reportRoundTrips } from "./round_trips.ts";

export interface DeviceServerOptions
  extends
    Omit<PresenceOptions, "epoch" | "failFast">,
    Pick<DeviceOptions, "allow" | "connect" | "accept" | "approval" | "resumeWindow"> {}

/**
 * A device that serves dials until it is closed. After the loss of a relay it is there again within
 * seconds, and the connections that it serves go on.
 */
export class DeviceServer implements AsyncDisposable {
  /** The device's ID. */
  readonly id: string;
  /**
   * Fulfils after {@linkcode DeviceServer.close}. Rejects with a `TunnelError` when the device is not
   * to come back by itself: `refused` (revoked), `replaced` (another process has its credential).
   */
  readonly closed: Promise<void>;
  readonly #presence: Presence;
  readonly #device: Device;
  #closing?: Promise<void>;

  private constructor(presence: Presence, device: Device) {
    this.id = presence.identity.name;
    this.closed = presence.closed;
    this.#presence = presence;
    this.#device = device;
  }

  /**
   * Signs in and stays. It does not wait for that: see {@linkcode DeviceServer.online}.
   *
   * @throws {TunnelError} `usage` when the identity's keys are none
   */
  static async start(options: DeviceServerOptions): Promise<DeviceServer> {
    const { identity } = options;
    const presence = await Presence.of({
      ...options,
      epoch: () => device.epoch,
      onUp(link, outgrown) {
        options.onUp?.(link, outgrown);
        device.serve(link);
        if (outgrown) device.leave(outgrown);
        reportRoundTrips(link);
      },
    });
    const device = new Device({
      ...options,
      id: identity.name,
      identity: presence.membership,
      verifier: new Verifier(identity.authority),
    });
    presence.start();
    return new DeviceServer(presence, device);
  }

  /**
   * Waits until it is there for the first time, however long its relay is away.
   *
   * @throws {TunnelError} `aborted`; as {@linkcode DeviceServer.closed} when that comes first
   */
  async online(signal?: AbortSignal): Promise<void> {
    await untilAborted(this.#presence.first, signal, "go online");
  }

  /** The name of the transport that it is there by now ("quic", "websocket"); undefined: it is not. */
  get transport(): string | undefined {
    return this.#link?.session.transport;
  }

  /** Connections that it serves, those included that wait for a path. */
  get connections(): number {
    return this.#device.size;
  }

  /**
   * Makes new keys, and has them certified and kept. Connections go on.
   *
   * @returns who it is from now on
   * @throws {TunnelError} `refused`, `unreachable`, `timeout`, `reset`, `aborted`, `unavailable`
   */
  async rotateKeys(signal?: AbortSignal): Promise<Principal> {
    return await this.#presence.renewal.rotate(signal);
  }

  /** Resets every connection, tells the operators, and signs out. Never rejects. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #link(): Link | undefined {
    return this.#presence.supervisor.current;
  }

  async #close(): Promise<void> {
    // The channels are closed before the session that says so to their other ends.
    await this.#device.close();
    await this.#presence.close();
  }
}
