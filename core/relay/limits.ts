/** What a relay lends to whom, and how a limit is reported. */

import { APPROVAL_WAIT } from "../approval.ts";
import type { Rate } from "../bucket.ts";
import { TunnelError } from "../errors.ts";

/** Bounds of a relay; every one is reserved before anything is spent on a peer. */
export interface RelayLimits {
  /** Sessions, signed in and not; default 20,000. */
  sessions: number;
  /**
   * Sessions that have not signed in yet; default 500, which cost about 100 MiB. With more than half
   * of these places taken, newcomers get a quarter of their time.
   */
  pending: number;
  /**
   * Of those, how many have not shown that they hear what is sent to their address (QUIC until its
   * handshake is done); default 375. The other places are left to those who have.
   */
  handshakes: number;
  /** Of those that have not signed in, how many come from one address; default 125. */
  addressPending: number;
  /** Connections of one address; default 50 per second, 500 at once. */
  addressRate: Rate;
  /** Milliseconds from a connection to the end of its sign-in; default 10,000. */
  signInTimeout: number;
  /** Bytes that a session may send before it has signed in; default 16 KiB, at least 8,196. */
  signInBytes: number;
  /** Joins that fail, by address; default 10 per minute, 10 at once. */
  joinFailures: Rate;
  /** Milliseconds for which no joins are taken from an address with more; default 60,000. */
  joinPause: number;
  /** Sessions of one operator; default 64. */
  operatorSessions: number;
  /** Sessions of one device's process; default 8. */
  deviceSessions: number;
  /** Requests on one control stream; default 100 per second, 1,000 at once. */
  requests: Rate;
  /** Dials of one operator, from their header to their end; default 1,000. */
  operatorDials: number;
  /** Dials of all operators; default 10,000. */
  dials: number;
  /** New dials of one operator; default 1,000 per second, 2,000 at once. */
  dialRate: Rate;
  /**
   * Connections that one dial may carry at once, where they come so fast that they share a channel;
   * default 256. 1: every connection is a dial.
   */
  dialConnections: number;
  /** Milliseconds for a dial's header, and again for the device's answer; default 30,000. */
  dialTimeout: number;
  /** Milliseconds that a device may have somebody decide about a dial, beside that; default 300,000. */
  approvalTimeout: number;
  /** Dials that wait for operators to decide; default 1,024. */
  approvals: number;
  /** The same of one device; default 16. */
  approvalsPerDevice: number;
  /** Bytes per second of one operator's dials, both directions together; default: no limit. */
  operatorBandwidth?: number;
  /** Bytes per second of dials to one device, both directions together; default: no limit. */
  deviceBandwidth?: number;
  /** Bytes per second of all dials, both directions together; default: no limit. */
  bandwidth?: number;
}

export const DEFAULT_RELAY_LIMITS: Readonly<RelayLimits> = {
  sessions: 20_000,
  pending: 500,
  handshakes: 375,
  addressPending: 125,
  addressRate: { perSecond: 50, burst: 500 },
  signInTimeout: 10_000,
  signInBytes: 16 * 1024,
  joinFailures: { perSecond: 10 / 60, burst: 10 },
  joinPause: 60_000,
  operatorSessions: 64,
  deviceSessions: 8,
  requests: { perSecond: 100, burst: 1_000 },
  operatorDials: 1_000,
  dials: 10_000,
  dialRate: { perSecond: 1_000, burst: 2_000 },
  dialConnections: 256,
  dialTimeout: 30_000,
  approvalTimeout: APPROVAL_WAIT,
  approvals: 1_024,
  approvalsPerDevice: 16,
};

/** The limits that turn somebody away, as the command line and the metrics call them. */
export const REFUSING_LIMITS = [
  "sessions",
  "pending",
  "handshakes",
  "address-pending",
  "address-rate",
  "sign-in-bytes",
  "sign-in-streams",
  "join-failures",
  "operator-sessions",
  "device-sessions",
  "requests",
  "operator-dials",
  "dials",
  "dial-rate",
] as const;
export type RefusingLimit = typeof REFUSING_LIMITS[number];

/** The limits that make somebody wait. */
export const SLOWING_LIMITS = ["operator-bandwidth", "device-bandwidth", "bandwidth"] as const;
export type SlowingLimit = typeof SLOWING_LIMITS[number];

/** What a peer is told that has met a limit; every refusal by a limit is made here. */
export function limitReached(limit: RefusingLimit, action: string, state: string): TunnelError {
  return new TunnelError("limit", {
    action,
    state: `${state} (limit ${limit})`,
    remedy: "try again later; whoever runs the relay can raise the limit",
  });
}
