/** What a relay does for those who have signed in, from then until their session has ended. */

import { delay } from "../deadline.ts";
import { describe, toTunnelError, TunnelError } from "../errors.ts";
import type { Principal } from "../identity/credential.ts";
import type { Log } from "../log.ts";
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
import type { DeviceSession, Registry } from "./registry.ts";
import { Renewals } from "./renewals.ts";
import { serveRequests } from "./requests.ts";
import { factsOf, sessionEvent } from "./session_facts.ts";
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
  #hosted = 0;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#tenures = new Tenures(options.gate.now);
    this.#sightings = new Sightings({ store: options.gate.store, log: options.log });
  }

  /**
   * Serves a session until it has ended; then its guest leaves. No call waits for that: a relay would
   * have one for each of thousands of idle devices.
   */
  host(session: Session, admitted: Admitted, guest: Guest): void {
    const { log, access, metrics } = this.#options;
    const { member, instance, credential } = admitted;
    log.info("signed in", factsOf(member, session));
    guest.keep(access.watchSession(session, member));
    const open = metrics.sessions.of(session.transport, member.role);
    open.add();
    guest.keep(() => open.add(-1));
    const tenure = this.#tenures.begin(member, instance, session, credential);
    const device = member.role === "device" ? this.#enter(tenure, admitted) : undefined;
    if (!device) this.#takeDials(tenure, admitted);
    // The control stream is the session's life: a peer that ends it is done.
    this.#serve(tenure, admitted).then(() => session.close(), (cause) => {
      if (device) this.#options.registry.remove(device);
      this.#failed(tenure, cause);
    });
    this.#hosted++;
    const ended = (how: string, why: string | undefined) => {
      this.#tenures.end(tenure);
      if (device && this.#options.registry.remove(device)) this.#seen(device);
      this.#record(tenure, how, why);
      guest.leave();
      if (--this.#hosted === 0) this.#drained?.resolve();
    };
    // What fails on a session fails when the session ends: what the session itself says is the story.
    session.closed.then(
      ({ reason }) => ended("session ended", reason || undefined),
      (cause) => ended("session lost", describe(cause)),
    );
  }

  /** Settles when what is left of sessions that are being closed is recorded, or late. */
  async close(): Promise<void> {
    if (this.#hosted > 0) {
      this.#drained = Promise.withResolvers();
      const late = new AbortController();
      await Promise.race([this.#drained.promise, delay(FAREWELL, late.signal)]);
      late.abort();
    }
    await this.#sightings.close();
  }

  #failed({ member, session }: Tenure, cause: unknown): void {
    const { code, parts } = toTunnelError(cause, "", "reset");
    if (code === "internal") {
      const why = describe(cause);
      this.#options.log.error("session failed", { ...factsOf(member, session), why });
    }
    session.close(code === "protocol" ? closeInfo(CloseCode.protocol, parts.state) : undefined);
  }

  #record({ member, session }: Tenure, how: string, why: string | undefined): void {
    const { log, audit } = this.#options;
    log.info(how, { ...factsOf(member, session), why });
    audit.recordEnd({ ...sessionEvent("sign-out", member, session), why });
  }

  #serve(tenure: Tenure, { control, member }: Admitted): Promise<void> {
    const { gate, limits, log, members, metrics, refusals, registry, approvals, access, audit } =
      this.#options;
    const { presences, mayApprove } = this.#options;
    const { role, name } = member;
    const { store, now } = gate;
    const from = tenure.session.remote.hostname;
    // In one piece: an object that is put together from others takes half as much again.
    return serveRequests(control, {
      role,
      name,
      from,
      store,
      access,
      audit,
      metrics,
      refusals,
      registry,
      approvals,
      presences,
      mayApprove,
      now,
      log,
      issues: gate.authority !== undefined,
      rate: members.requests(),
      approvalTimeout: limits.approvalTimeout,
      renewals: new Renewals(gate, member, from),
      onRenewed: ({ token: credential, principal }) => this.#renewed(tenure, credential, principal),
    });
  }

  #enter(tenure: Tenure, admitted: Admitted): DeviceSession {
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
    this.#seen(entry);
    admitted.streams.forEach((stream) => turnAway(stream, limits.dialTimeout));
    return entry;
  }

  #seen({ id, session: { transport, remote } }: DeviceSession): void {
    this.#sightings.record(id, { at: this.#options.gate.now(), transport, remote });
  }

  #takeDials({ session }: Tenure, admitted: Admitted): void {
    const { gate: { store }, limits, log, members, metrics, registry, presences, access, audit } =
      this.#options;
    const { stop } = this.#options;
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
  }

  #renewed(tenure: Tenure, credential: string, { role, name, issuedAt, expiresAt }: Principal) {
    const { registry, log } = this.#options;
    this.#tenures.renew(tenure, { credential, issuedAt, expiresAt });
    if (role === "device") registry.renew(name, tenure.instance, credential);
    log.info("credential renewed", { [role]: name, until: new Date(expiresAt).toISOString() });
  }
}

function left(): TunnelError {
  return new TunnelError("closed", { action: "dial", state: "the operator has left" });
}
