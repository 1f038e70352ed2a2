/**
 * Which devices are here, and through which session each is reached.
 *
 * The takeover rule: one running process may hold several sessions of a device (it moves from one
 * transport to another); the newest takes new dials and the older ones live until their channels
 * have ended. A session of another process with the same device's credential replaces all of them,
 * and they are told why.
 */

import type { Peer } from "../control.ts";
import { untilAborted } from "../deadline.ts";
import { CloseCode, closeInfo, type Session } from "../transport.ts";

/** A device's live session. */
export interface DeviceSession {
  readonly id: string;
  /** Names the process that holds it. */
  readonly instance: string;
  readonly session: Session;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** What those who dial it need. */
  peer: Peer | undefined;
}

/** Is told of a device whose session for new dials is another now, or that has `gone`. */
export type PresenceListener = (id: string, gone: DeviceSession | undefined) => void;

/** The devices that are online at one relay. */
export class Registry {
  readonly #devices = new Map<string, DeviceSession[]>();
  readonly #waiting = new Map<string, Set<(session: DeviceSession) => void>>();
  readonly #listeners = new Set<PresenceListener>();

  /** The number of devices online. */
  get size(): number {
    return this.#devices.size;
  }

  /** Adds a session by the takeover rule and returns those it has replaced. */
  add(entry: DeviceSession): DeviceSession[] {
    const held = this.#devices.get(entry.id) ?? [];
    const own = held.filter(({ instance }) => instance === entry.instance);
    const replaced = held.filter(({ instance }) => instance !== entry.instance);
    // An array that `concat` makes has room for no more than there is: most devices have one session.
    this.#devices.set(entry.id, own.concat(entry));
    for (const tell of this.#waiting.get(entry.id) ?? []) tell(entry);
    for (const tell of this.#listeners) tell(entry.id, undefined);
    const { hostname } = entry.session.remote;
    for (const { session } of replaced) {
      const reason = `another session of device ${entry.id}, from ${hostname}, took its place`;
      session.close(closeInfo(CloseCode.replaced, reason));
    }
    return replaced;
  }

  /** From now on those who dial the process's device are shown this credential. */
  renew(id: string, instance: string, credential: string): void {
    for (const entry of this.#devices.get(id) ?? []) {
      if (entry.instance === instance && entry.peer) entry.peer = { ...entry.peer, credential };
    }
  }

  /** Forgets a session; true when the device has no other. */
  remove(entry: DeviceSession): boolean {
    const held = this.#devices.get(entry.id) ?? [];
    const left = held.filter((other) => other !== entry);
    if (left.length > 0) this.#devices.set(entry.id, left);
    else this.#devices.delete(entry.id);
    const isGone = left.length === 0;
    // Of one that was replaced nothing has changed: it was told when that came.
    if (left.length < held.length && held.at(-1) === entry) {
      for (const tell of this.#listeners) tell(entry.id, isGone ? entry : undefined);
    }
    return isGone;
  }

  /** Has changes told, as they happen. */
  watch(listener: PresenceListener): void {
    this.#listeners.add(listener);
  }

  /**
   * The session that takes new dials for a device, as soon as there is one.
   *
   * @throws {TunnelError} the signal's reason
   */
  async whenOnline(id: string, signal: AbortSignal): Promise<DeviceSession> {
    const session = this.find(id);
    if (session) return session;
    const { promise, resolve } = Promise.withResolvers<DeviceSession>();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    try {
      return await untilAborted(promise, signal, `wait for ${id}`);
    } finally {
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(id);
    }
  }

  /** The session that takes new dials for a device. */
  find(id: string): DeviceSession | undefined {
    return this.#devices.get(id)?.at(-1);
  }
}
