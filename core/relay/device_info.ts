/** A device as operators are shown it. */

import type { DeviceInfo } from "../control.ts";
import type { DeviceRecord } from "../store.ts";
import type { DeviceSession } from "./registry.ts";

/** What a relay counts of a device while it is here. */
export interface Usage {
  /** Connections, those that wait for its answer included. */
  streams: number;
  /** Bytes that it sent on them and got, as the relay carries them. */
  sent: number;
  received: number;
  /** Milliseconds to the relay and back, as the device has told. */
  roundTrip: number | undefined;
}

/** One that is here. */
export function presentDevice(
  { id, session, since }: DeviceSession,
  usage: Readonly<Usage> | undefined,
): DeviceInfo {
  const { transport, remote } = session;
  const { streams = 0, sent = 0, received = 0, roundTrip } = usage ?? {};
  const figures = { streams, sent, received, ...(roundTrip !== undefined && { roundTrip }) };
  return { id, online: true, since, transport, remote: remote.hostname, ...figures };
}

/** One that is not. */
export function pastDevice({ name, lastSeen }: DeviceRecord): DeviceInfo {
  const { at, transport, remote } = lastSeen ?? {};
  return { id: name, online: false, since: at, transport, remote: remote?.hostname };
}
