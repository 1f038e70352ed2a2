/** What a relay does for those who have signed in, from then until their session has ended. */

import { delay } from "../deadline.ts";
import { describe, toTunnelError, TunnelError } from "../errors.ts";
import type { Principal } from "../identity/credential.ts";
import type { Log } from "../log.ts";
import type { AuditEvent } from "../policy/audit.ts";
import { CloseCode, closeInfo, type Session } from "../transport.ts";
import type { Access } from "./access.ts";
import type { Admitted, Gate } from "./admission.ts";
import type { Approvals, MayApprove } from "./approvals.ts";
import type { AuditLog } from "./audit_log.ts";
import { handleDial } from "./dial.ts";
import type { Guest } from "./door.ts";
import type { RelayLimits } from "./limits.ts";
import type { Members } from "./members.ts";
import type { RelayMetrics } from "./metrics.ts";
import type { Presences } from "./presences.ts";
import type { Refusals } from "./refusals.ts";
import type { Registry } from "./registry.ts";
import { Renewals } from "./renewals.ts";
import { serveRequests } from "./requests.ts";
import { Sightings } from "./sightings.ts";
import { type Tenure, Tenures } from "./tenure.ts";
import { turnAway } from "./turn_away.ts";

/** Milliseconds that closing may take to record how sessions ended. */
const FAREWELL = 2_000;

/** The parts of a relay that its sessions share. */
export interface HostOptions {
  readonly gate: Gate;
  readonly limits: RelayLimits;
  readonly log: Log;
  readonly metrics: RelayMetrics;
  readonly refusals: Refusals;
  readonly members: Members;
  readonly registry: Registry;
  readonly presences: Presences;
  readonly approvals: Approvals;
  readonly access: Access;
  readonly audit: AuditLog;
  readonly mayApprove: MayApprove;
  /** Fires when the relay shuts down. */
  readonly stop: AbortSignal;
}

export class Host {
  readonly #options: HostOptions;
  readonly #tenures: Tenures;
  readonly #sightings: Sightings;
  readonly #hosted = new Set<Promise<void>>();

  constructor(options: HostOptions) {
    this.#options = options;
    this.#tenures = new Tenures(options.gate.now);
    this.#sightings = new Sightings({ store: options.gate.store, log: options.log });
  }

  /** Serves a session until it has ended. Never rejects. */
  host(session: Session, admitted: Admitted, guest: Guest): Promise<void> {
    const hosted = this.#serve(session, admitted, guest).then(() => {
      this.#hosted.delete(hosted);
    });
    this.#hosted.add(hosted);
    return hosted;
  }

  async #serve(session: Session, admitted: Admitted, guest: Guest): Promise<void> {
    const { log, access, metrics, audit } = this.#options;
    const { member, instance, credential } = admitted;
    const { role, name } = member;
    const facts = { [role]: name, via: session.transport, from: session.remote.hostname };
    log.info("signed in", facts);
    guest.keep(access.watchSession(session, member));
    const open = metrics.sessions.of(session.transport, role);
    open.add();
    guest.keep(() => open.add(-1));
    const tenure = this.#tenures.begin(member, instance, session, credential);
    let info = closeInfo(CloseCode.done, "");
    try {
      await (role === "device"
        ? this.#hostDevice(tenure, admitted)
        : this.#hostOperator(tenure, admitted));
    } catch (cause) {
      const error = toTunnelError(cause, "", "reset");
      if (error.code === "protocol") info = closeInfo(CloseCode.protocol, error.parts.state);
      if (error.code === "internal") {
        log.error("session failed", { ...facts, why: describe(cause) });
      }
    } finally {
      this.#tenures.end(tenure);
    }
    // A task on the session fails when the session ends: what the session itself says is the story.
    session.close(info);
    const why = await session.closed.then(
      ({ reason }) => {
        log.info("session ended", { ...facts, why: reason || undefined });
        return reason || undefined;
      },
      (cause) => {
        log.info("session lost", { ...facts, why: describe(cause) });
        return describe(cause);
      },
    );
    audit.recordEnd({ ...sessionEvent("sign-out", member, session), why });
  }

  /** Settles when what is left of sessions that are being closed is recorded, or late. */
  async close(): Promise<void> {
    const late = new AbortController();
    await Promise.race([Promise.all(this.#hosted), delay(FAREWELL, late.signal)]);
    late.abort();
    await this.#sightings.close();
  }

  async #hostDevice(tenure: Tenure, admitted: Admitted): Promise<void> {
    const { gate: { now }, log, registry, limits } = this.#options;
    const { member, instance, epoch } = admitted;
    const { session, credential } = tenure;
    const peer = epoch === undefined ? undefined : { credential, epoch };
    const entry = { id: member.name, instance, session, since: now(), peer };
    for (const old of registry.add(entry)) {
      log.warn("device session replaced by another process's", {
        device: entry.id,
        from: session.remote.hostname,
        replaced: old.session.remote.hostname,
      });
    }
    const seen = () =>
      this.#sightings.record(entry.id, {
        at: now(),
        transport: session.transport,
        remote: session.remote,
      });
    try {
      seen();
      admitted.streams.forEach((stream) => turnAway(stream, limits.dialTimeout));
      await Promise.all([session.closed, this.#requests(tenure, admitted)]);
    } finally {
      if (registry.remove(entry)) seen();
    }
  }

  async #hostOperator(tenure: Tenure, admitted: Admitted): Promise<void> {
    const { gate: { store }, limits, log, members, metrics, registry, presences, access, audit } =
      this.#options;
    const { stop } = this.#options;
    const { session } = tenure;
    const operator = admitted.member.name;
    const opened = metrics.streams.of("operator");
    // A dial that waits for a device does not look at the operator's stream.
    const gone = new AbortController();
    const cut = () => gone.abort(stop.reason);
    stop.addEventListener("abort", cut, { once: true });
    session.closed.catch(() => {}).finally(() => {
      stop.removeEventListener("abort", cut);
      gone.abort(left());
    });
    admitted.streams.forEach((stream) => {
      opened.add();
      handleDial(stream, {
        ...{ operator, registry, store, log, access, audit, metrics },
        from: session.remote.hostname,
        timeout: limits.dialTimeout,
        connections: limits.dialConnections,
        approvalTimeout: limits.approvalTimeout,
        signal: gone.signal,
        place: (device) => presences.count(device, members.dial(operator, device)),
      });
    });
    await Promise.all([session.closed, this.#requests(tenure, admitted)]);
  }

  #requests(tenure: Tenure, { control, member }: Admitted): Promise<void> {
    const { gate, limits, log, members, metrics, refusals, registry, approvals, access, audit } =
      this.#options;
    const { presences } = this.#options;
    const { role, name } = member;
    const { store, now } = gate;
    const from = tenure.session.remote.hostname;
    return serveRequests(control, {
      ...{ role, name, from, store, access, audit, metrics, refusals, approvals, now, log },
      issues: gate.authority !== undefined,
      find: (id) => registry.find(id),
      presences,
      rate: members.requests(),
      mayApprove: this.#options.mayApprove,
      approvalTimeout: limits.approvalTimeout,
      renewals: new Renewals(gate, member, from),
      onRenewed: ({ token: credential, principal }) => this.#renewed(tenure, credential, principal),
    })
      // The control stream is the session's life: a peer that ends it is done.
      .then(() => tenure.session.close());
  }

  #renewed(tenure: Tenure, credential: string, { role, name, issuedAt, expiresAt }: Principal) {
    const { registry, log } = this.#options;
    this.#tenures.renew(tenure, { credential, issuedAt, expiresAt });
    if (role === "device") registry.renew(name, tenure.instance, credential);
    log.info("credential renewed", { [role]: name, until: new Date(expiresAt).toISOString() });
  }
}

/** What the audit trail is told of a session's beginning and end. */
export function sessionEvent(
  type: "sign-in" | "sign-out",
  { role, name }: Principal,
  { remote, transport }: Session,
): Omit<AuditEvent, "at"> {
  const by = `${role}:${name}`;
  return { type, by, from: remote.hostname, [role]: name, detail: transport };
}

function left(): TunnelError {
  return new TunnelError("closed", { action: "dial", state: "the operator has left" });
}
