/** The relay: admits sessions, keeps the registry of devices, and joins dials to devices. */

import { withDeadline } from "../deadline.ts";
import { describe, toTunnelError, TunnelError } from "../errors.ts";
import type { Principal } from "../identity/credential.ts";
import type { Log } from "../log.ts";
import { Metrics } from "../metrics.ts";
import type { AuditEvent } from "../policy/audit.ts";
import { CloseCode, closeInfo, type Incoming, type Listener, type Session } from "../transport.ts";
import { Access } from "./access.ts";
import { admit, type Admitted, type Gate } from "./admission.ts";
import { Approvals, type MayApprove } from "./approvals.ts";
import { AuditLog, type AuditLogOptions } from "./audit_log.ts";
import { handleDial } from "./dial.ts";
import { Door, type Guest } from "./door.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "./limits.ts";
import { Members } from "./members.ts";
import { RelayMetrics } from "./metrics.ts";
import { QuietLog } from "./quiet_log.ts";
import { Refusals } from "./refusals.ts";
import { Registry } from "./registry.ts";
import { Renewals } from "./renewals.ts";
import { serveRequests } from "./requests.ts";
import { type Tenure, Tenures } from "./tenure.ts";
import { turnAway } from "./turn_away.ts";

export { DEFAULT_RELAY_LIMITS, type RelayLimits };

export interface RelayOptions extends Gate {
  readonly log: Log;
  readonly limits?: Partial<RelayLimits>;
  /** Which operators may decide about dials that devices ask about; by default those with the right. */
  readonly mayApprove?: MayApprove;
  /** Milliseconds between two looks at the store's policy; default 500. */
  readonly policyInterval?: number;
  /** How events wait to be recorded. */
  readonly audit?: Pick<AuditLogOptions, "maxWaiting" | "gather">;
  /** Where the relay counts; nobody sees it otherwise. */
  readonly metrics?: Metrics;
}

/** A relay without sockets of its own: {@linkcode Relay.serve} gives it listeners. */
export class Relay {
  readonly registry = new Registry();
  readonly approvals: Approvals;
  /** Who may be here and reach what. */
  readonly access: Access;
  readonly #audit: AuditLog;
  readonly #options: RelayOptions;
  readonly #gate: Gate;
  readonly #limits: RelayLimits;
  readonly #metrics: RelayMetrics;
  readonly #refusals: Refusals;
  readonly #door: Door;
  readonly #members: Members;
  readonly #failures: QuietLog;
  readonly #sessions = new Set<Session>();
  readonly #tenures: Tenures;
  readonly #stop = new AbortController();

  constructor(options: RelayOptions) {
    const { log, metrics: registry = new Metrics() } = options;
    const limits = { ...DEFAULT_RELAY_LIMITS, ...options.limits };
    const clock = () => performance.now();
    const metrics = new RelayMetrics(registry);
    const refusals = new Refusals(metrics, log, clock);
    this.#options = options;
    this.#gate = { isRevoked: (member) => this.access.isRevoked(member), ...options };
    this.#limits = limits;
    this.#metrics = metrics;
    this.#refusals = refusals;
    this.#door = new Door({ limits, refusals, log, clock });
    this.#members = new Members({ limits, metrics, refusals });
    this.#failures = new QuietLog(log, clock);
    const { approvals, approvalsPerDevice } = limits;
    const { store, now, policyInterval: interval } = options;
    this.access = new Access({ store, log, now, interval });
    this.#audit = new AuditLog({ ...options.audit, store, log, now });
    this.approvals = new Approvals({ most: approvals, mostPerDevice: approvalsPerDevice });
    const observe = (name: string, help: string, read: () => number) =>
      registry.observe(`tunnel_relay_${name}`, help, "gauge", read);
    observe("pending", "Connections that have not signed in.", () => this.#door.pending);
    observe("devices", "Devices that are online.", () => this.registry.size);
    this.#tenures = new Tenures(options.now);
  }

  /** Sessions now, those that are signing in included. */
  get sessions(): number {
    return this.#door.sessions;
  }

  /** Admits what comes in until the listener is closed. Rejects when the listener fails. */
  async serve(listener: Listener): Promise<void> {
    await this.access.start(this.#stop.signal);
    const came = this.#metrics.connections.of(listener.transport);
    for await (const incoming of listener) {
      came.add();
      const guest = this.#door.enter(incoming);
      if (guest) this.#host(incoming, guest).finally(() => guest.leave());
    }
  }

  /** Tells every session that the relay is going away, and ends it. */
  async close(): Promise<void> {
    this.#stop.abort(
      new TunnelError("closed", { action: "relay", state: "it is shutting down" }),
    );
    const sessions = [...this.#sessions];
    for (const session of sessions) {
      session.close(closeInfo(CloseCode.goingAway, "the relay is shutting down"));
    }
    await Promise.allSettled(sessions.map((session) => session.closed));
    await this.#audit.close();
  }

  async #host(incoming: Incoming, guest: Guest): Promise<void> {
    const { log } = this.#options;
    let session: Session | undefined;
    let admitted: Admitted;
    try {
      session = await this.#accept(incoming, guest);
      admitted = await this.#signIn(session, guest);
    } catch (cause) {
      const error = toTunnelError(cause, "accept a session", "protocol");
      session?.close(closeInfo(CloseCode.done, error.parts.state));
      // Limits have said so themselves.
      if (error.code !== "limit") {
        this.#failures.warn(error.message, { transport: incoming.transport });
      }
      return;
    }
    const { member, instance, credential } = admitted;
    const { role, name } = member;
    const facts = { [role]: name, via: session.transport, from: session.remote.hostname };
    log.info("signed in", facts);
    guest.keep(this.access.watchSession(session, member));
    const open = this.#metrics.sessions.of(session.transport, role);
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
    this.#audit.recordEnd({ ...this.#sessionEvent("sign-out", member, session), why });
  }

  async #accept(incoming: Incoming, guest: Guest): Promise<Session> {
    const { transport } = incoming;
    const { handshakes } = this.#metrics;
    try {
      const options = { action: "accept a session", timeout: guest.timeout };
      const admit = guest.arrive.bind(guest);
      const session = await withDeadline(options, (signal) => incoming.accept({ signal, admit }));
      this.#sessions.add(session);
      session.closed.catch(() => {}).finally(() => this.#sessions.delete(session));
      guest.proven();
      handshakes.of(transport, "done").add();
      return session;
    } catch (cause) {
      handshakes.of(transport, toTunnelError(cause, "", "protocol").code).add();
      throw cause;
    }
  }

  async #signIn(session: Session, guest: Guest): Promise<Admitted> {
    const { signIns } = this.#metrics;
    const [members, refusals] = [this.#members, this.#refusals];
    try {
      const { access } = this;
      const audit = this.#audit;
      const bounds = { bytes: this.#limits.signInBytes, guest, members, refusals, access, audit };
      const admitted = await admit(session, this.#options, bounds);
      this.#audit.record(this.#sessionEvent("sign-in", admitted.member, session));
      guest.signedIn();
      signIns.of("accepted").add();
      return admitted;
    } catch (cause) {
      const { code, parts } = toTunnelError(cause, "", "protocol");
      signIns.of(code).add();
      // Who has shown no identity at all, rightly or not, is a matter for limits and metrics.
      if (code === "refused") {
        const from = session.remote.hostname;
        const detail = session.transport;
        this.#audit.recordRefusal({ type: "sign-in refused", from, why: parts.state, detail });
      }
      throw cause;
    }
  }

  #sessionEvent(
    type: "sign-in" | "sign-out",
    { role, name }: Principal,
    { remote, transport }: Session,
  ): Omit<AuditEvent, "at"> {
    const by = `${role}:${name}`;
    return { type, by, from: remote.hostname, [role]: name, detail: transport };
  }

  async #hostDevice(tenure: Tenure, admitted: Admitted): Promise<void> {
    const { store, now, log } = this.#options;
    const { member, instance, epoch } = admitted;
    const { session, credential } = tenure;
    const peer = epoch === undefined ? undefined : { credential, epoch };
    const entry = { id: member.name, instance, session, since: now(), peer };
    for (const old of this.registry.add(entry)) {
      log.warn("device session replaced by another process's", {
        device: entry.id,
        from: session.remote.hostname,
        replaced: old.session.remote.hostname,
      });
    }
    const seen = () =>
      store.deviceSeen(entry.id, {
        at: now(),
        transport: session.transport,
        remote: session.remote,
      });
    try {
      await seen();
      await Promise.all([
        session.closed,
        this.#requests(tenure, admitted),
        turnAway(admitted.streams, this.#limits.dialTimeout),
      ]);
    } finally {
      if (this.registry.remove(entry)) await seen();
    }
  }

  async #hostOperator(tenure: Tenure, admitted: Admitted): Promise<void> {
    const { session } = tenure;
    const operator = admitted.member.name;
    const opened = this.#metrics.streams.of("operator");
    // A dial that waits for a device does not look at the operator's stream.
    const gone = new AbortController();
    const { signal: stop } = this.#stop;
    const cut = () => gone.abort(stop.reason);
    stop.addEventListener("abort", cut, { once: true });
    session.closed.catch(() => {}).finally(() => {
      stop.removeEventListener("abort", cut);
      gone.abort(left());
    });
    const dials = async () => {
      for await (const stream of admitted.streams) {
        opened.add();
        handleDial(stream, {
          operator,
          from: session.remote.hostname,
          access: this.access,
          audit: this.#audit,
          registry: this.registry,
          store: this.#options.store,
          log: this.#options.log,
          timeout: this.#limits.dialTimeout,
          approvalTimeout: this.#limits.approvalTimeout,
          signal: gone.signal,
          place: (device) => this.#members.dial(operator, device),
          metrics: this.#metrics,
        });
      }
    };
    await Promise.all([session.closed, this.#requests(tenure, admitted), dials()]);
  }

  #requests(tenure: Tenure, { control, member }: Admitted): Promise<void> {
    const { role, name } = member;
    const { store, now, log, authority } = this.#options;
    const { mayApprove = (name) => this.access.rights(name).approver } = this.#options;
    return serveRequests(control, {
      role,
      name,
      from: tenure.session.remote.hostname,
      store,
      access: this.access,
      issues: authority !== undefined,
      audit: this.#audit,
      find: (id) => this.registry.find(id),
      rate: this.#members.requests(),
      metrics: this.#metrics,
      refusals: this.#refusals,
      approvals: this.approvals,
      mayApprove,
      approvalTimeout: this.#limits.approvalTimeout,
      renewals: new Renewals(this.#gate, member, tenure.session.remote.hostname),
      onRenewed: ({ token: credential, principal }) => this.#renewed(tenure, credential, principal),
      now,
      log,
    })
      // The control stream is the session's life: a peer that ends it is done.
      .then(() => tenure.session.close());
  }

  #renewed(tenure: Tenure, credential: string, { role, name, issuedAt, expiresAt }: Principal) {
    this.#tenures.renew(tenure, { credential, issuedAt, expiresAt });
    if (role === "device") this.registry.renew(name, tenure.instance, credential);
    const until = new Date(expiresAt).toISOString();
    this.#options.log.info("credential renewed", { [role]: name, until });
  }
}

function left(): TunnelError {
  return new TunnelError("closed", { action: "dial", state: "the operator has left" });
}
