/** The devices of a fleet as they come, go and change, over any loss of the relay. */

import type { DeviceInfo, PresenceChange } from "../control.ts";
import { abortError, untilAborted } from "../deadline.ts";
import { toTunnelError, TunnelError } from "../errors.ts";
import type { LinkSource } from "../places.ts";
import type { Link } from "../link.ts";

/** Milliseconds for the next session with the relay, each time that it is waited for. */
const LINK_TIMEOUT = 60_000;
/** Devices that wait to be taken at most: as many as a list has. */
const MAX_DEVICES = 100_000;

/** Something that has changed of a device. */
export interface DeviceChange {
  /**
   * - `added`: it was not known before; at first that is every device there is
   * - `online`, `offline`: it came or went; one that went and came back at once is `changed`
   * - `changed`: something else of it: its transport, address, connections, bytes, round trip
   * - `removed`: it is not to be seen any more, for instance because a grant was taken back
   */
  readonly type: "added" | "online" | "offline" | "changed" | "removed";
  /** The device as it is now; where it was removed, as it was. */
  readonly device: DeviceInfo;
}

/**
 * Yields every device that there is, then whatever changes, until the signal fires. Of changes that
 * are not taken in time the latest of each device counts. After a loss of the relay what is different
 * by then is yielded.
 *
 * @throws {TunnelError} `refused`, `replaced` and what else ends the links for good; `limit` when
 * there are more than 100,000 devices; `aborted`
 */
export async function* watchDevices(
  links: LinkSource,
  signal: AbortSignal,
): AsyncGenerator<DeviceChange, void, void> {
  const known = new Map<string, DeviceInfo>();
  while (!signal.aborted) {
    const link = await nextLink(links, signal);
    if (!link) continue;
    const pending = new Pending();
    let stop: (() => Promise<void>) | undefined;
    try {
      stop = await link.watch((change) => pending.put(change), signal);
      yield* compare(known, await link.devices(signal));
      for (let batch; (batch = await pending.take(signal));) {
        if (batch.again) yield* compare(known, await link.devices(signal));
        for (const device of batch.devices) yield* update(known, device);
      }
    } catch (cause) {
      if (signal.aborted || !isLoss(cause)) throw cause;
    } finally {
      // The session may be over: then so is the watch.
      await stop?.().catch(() => {});
    }
  }
  throw abortError(signal, "watch the devices");
}

/** Undefined when there is none yet. */
async function nextLink(links: LinkSource, signal: AbortSignal): Promise<Link | undefined> {
  try {
    return await links.link(LINK_TIMEOUT, signal);
  } catch (cause) {
    const { code } = toTunnelError(cause, "watch the devices", "internal");
    if (signal.aborted || (code !== "timeout" && code !== "unreachable")) throw cause;
  }
}

/** Whether the session was lost, which its supervisor mends. */
function isLoss(cause: unknown): boolean {
  return cause instanceof TunnelError && ["closed", "reset", "timeout"].includes(cause.code);
}

/** What a list has that is different from what is known. */
function* compare(known: Map<string, DeviceInfo>, list: DeviceInfo[]): Generator<DeviceChange> {
  const left = new Set(known.keys());
  for (const device of list) {
    left.delete(device.id);
    yield* update(known, device);
  }
  for (const id of left) {
    const device = known.get(id)!;
    known.delete(id);
    yield { type: "removed", device };
  }
}

function* update(known: Map<string, DeviceInfo>, device: DeviceInfo): Generator<DeviceChange> {
  const before = known.get(device.id);
  known.set(device.id, device);
  if (!before) yield { type: "added", device };
  else if (before.online !== device.online) {
    yield { type: device.online ? "online" : "offline", device };
  } else if (!isSame(before, device)) yield { type: "changed", device };
}

function isSame(one: DeviceInfo, other: DeviceInfo): boolean {
  const keys = Object.keys({ ...one, ...other }) as (keyof DeviceInfo)[];
  return keys.every((key) => one[key] === other[key]);
}

/** What was told and is yet to be taken: of each device the latest. */
class Pending {
  #devices = new Map<string, DeviceInfo>();
  #again = false;
  #ended = false;
  #wake = Promise.withResolvers<void>();

  put(change: PresenceChange | null): void {
    if (change === null) this.#ended = true;
    else {
      this.#again ||= change.again ?? false;
      for (const device of change.devices) this.#devices.set(device.id, device);
    }
    if (this.#devices.size > MAX_DEVICES) {
      this.#devices.clear();
      this.#again = true;
    }
    this.#wake.resolve();
  }

  /** Null when no more comes. */
  async take(
    signal: AbortSignal,
  ): Promise<{ devices: Iterable<DeviceInfo>; again: boolean } | null> {
    for (;;) {
      if (this.#devices.size > 0 || this.#again) {
        const batch = { devices: this.#devices.values(), again: this.#again };
        this.#devices = new Map();
        this.#again = false;
        return batch;
      }
      if (this.#ended) return null;
      this.#wake = Promise.withResolvers();
      await untilAborted(this.#wake.promise, signal, "watch the devices");
    }
  }
}
