/** What the log, the metrics and the audit trail are told of one dial. */

import { formatTarget } from "../allow.ts";
import type { Dial } from "../control.ts";
import type { Transferred } from "../duplex.ts";
import type { TunnelError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { AuditEvent } from "../policy/audit.ts";
import type { AuditLog } from "./audit_log.ts";
import type { RelayMetrics } from "./metrics.ts";

export interface ReportOptions {
  /** The operator's name, proven at sign-in. */
  readonly operator: string;
  /** Its address. */
  readonly from: string;
  readonly log: Log;
  readonly metrics: Pick<RelayMetrics, "dials">;
  readonly audit: Pick<AuditLog, "record" | "recordEnd" | "recordRefusal">;
}

type Facts = Pick<AuditEvent, "device" | "target" | "reason">;

export class DialReport {
  readonly #options: ReportOptions;
  readonly #began = performance.now();
  #facts: Facts = {};

  constructor(options: ReportOptions) {
    this.#options = options;
  }

  /** What it is about, as soon as that is known. */
  about(dial: Dial): void {
    const { device, reason } = dial;
    this.#facts = { device, target: formatTarget(dial), reason };
  }

  /**
   * The device has answered.
   *
   * @param shared the dial may carry many connections
   * @throws {TunnelError} `unavailable` when the audit trail cannot be written
   */
  answered(outcome: "accepted" | "resumed" | "stale", shared: boolean): void {
    const { log, metrics, audit, operator } = this.#options;
    metrics.dials.of(outcome).add();
    if (outcome === "stale") return;
    const detail = outcome === "resumed" ? "resumed" : shared ? "shared" : undefined;
    audit.record({ ...this.#event("dial"), detail });
    log.info(`dial ${outcome}`, { operator, ...this.#facts, shared: shared || undefined });
  }

  refused(error: TunnelError): void {
    const { log, metrics, audit, operator } = this.#options;
    const why = error.parts.state;
    metrics.dials.of(error.code).add();
    audit.recordRefusal({ ...this.#event("dial refused"), why });
    // A limit has said so itself, within reason.
    const say = error.code === "limit" ? log.debug : log.info;
    say("dial refused", { operator, ...this.#facts, why });
  }

  /** @param why it ended before its time */
  ended({ sent, received }: Transferred, why?: string): void {
    const { log, audit, operator } = this.#options;
    const took = Math.round(performance.now() - this.#began);
    audit.recordEnd({ ...this.#event("dial ended"), sent, received, took, why });
    log.info("dial ended", {
      operator,
      ...this.#facts,
      sent,
      received,
      seconds: took / 1_000,
      why,
    });
  }

  #event(type: AuditEvent["type"]): Omit<AuditEvent, "at"> {
    const { operator, from } = this.#options;
    return { type, by: `operator:${operator}`, from, operator, ...this.#facts };
  }
}
