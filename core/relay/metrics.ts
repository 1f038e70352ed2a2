/** What a relay counts of itself. No label holds a name or an address: their number has no bound. */

import type { Count, Family, Metrics } from "../metrics.ts";
import {
  REFUSING_LIMITS,
  type RefusingLimit,
  SLOWING_LIMITS,
  type SlowingLimit,
} from "./limits.ts";

export class RelayMetrics {
  readonly connections: Family;
  readonly handshakes: Family;
  readonly signIns: Family;
  readonly sessions: Family;
  readonly streams: Family;
  readonly requests: Family;
  readonly dials: Family;
  readonly active: Count;
  readonly sent: Count;
  readonly received: Count;
  readonly #refused: Family;
  readonly #waits: Family;

  constructor(metrics: Metrics) {
    const counters = (name: string, help: string, ...labels: string[]) =>
      metrics.counters(`tunnel_relay_${name}_total`, help, ...labels);
    this.connections = counters("connections", "Connections that came.", "transport");
    this.handshakes = counters("handshakes", "Handshakes by outcome.", "transport", "outcome");
    this.signIns = counters("sign_ins", "Sign-ins by outcome.", "outcome");
    this.sessions = metrics.gauges(
      "tunnel_relay_sessions",
      "Sessions that are signed in.",
      "transport",
      "role",
    );
    this.streams = counters("streams", "Streams by who opened them.", "by");
    this.requests = counters("requests", "Requests on control streams.", "type");
    this.dials = counters("dials", "Dials by how they began or why not.", "outcome");
    this.active = metrics.gauge("tunnel_relay_dials", "Dials now, waiting ones included.");
    const bytes = counters("bytes", "Bytes of dials, as their operators see them.", "direction");
    this.sent = bytes.of("sent");
    this.received = bytes.of("received");
    this.#refused = counters("refused", "What a limit has turned away.", "limit");
    for (const limit of REFUSING_LIMITS) this.#refused.of(limit);
    this.#waits = counters("waits", "Blocks of bytes that a limit has held back.", "limit");
    for (const limit of SLOWING_LIMITS) this.#waits.of(limit);
  }

  refused(limit: RefusingLimit): void {
    this.#refused.of(limit).add();
  }

  waits(limit: SlowingLimit): Count {
    return this.#waits.of(limit);
  }
}
