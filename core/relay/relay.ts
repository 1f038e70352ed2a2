/** The relay: admits sessions, and hosts those that sign in. */

import { withDeadline } from "../deadline.ts";
import { toTunnelError, TunnelError } from "../errors.ts";
import type { Log } from "../log.ts";
import { Metrics } from "../metrics.ts";
import { CloseCode, closeInfo, type Incoming, type Listener, type Session } from "../transport.ts";
import { Access } from "./access.ts";
import { admit, type Admitted, type Gate } from "./admission.ts";
import { Approvals, type MayApprove } from "./approvals.ts";
import { AuditLog, type AuditLogOptions } from "./audit_log.ts";
import { Door, type Guest } from "./door.ts";
import { Host } from "./host.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "./limits.ts";
import { Line } from "./line.ts";
import { Members } from "./members.ts";
import { RelayMetrics } from "./metrics.ts";
import { Presences } from "./presences.ts";
import { QuietLog } from "./quiet_log.ts";
import { Refusals } from "./refusals.ts";
import { Registry } from "./registry.ts";
import { sessionEvent } from "./session_facts.ts";

export { DEFAULT_RELAY_LIMITS, type RelayLimits };

export interface RelayOptions extends Gate {
  readonly log: Log;
  readonly limits?: Partial<RelayLimits>;
  /** Which operators may decide about dials that devices ask about; by default those with the right. */
  readonly mayApprove?: MayApprove;
  /** Milliseconds between two looks at the store's policy; default 500. */
  readonly policyInterval?: number;
  /** Milliseconds between two times that the figures of devices are told to who watches; default 1,000. */
  readonly watchInterval?: number;
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
  readonly #gate: Gate;
  readonly #limits: RelayLimits;
  readonly #metrics: RelayMetrics;
  readonly #refusals: Refusals;
  readonly #door: Door;
  readonly #line = new Line();
  readonly #members: Members;
  readonly #host: Host;
  readonly #failures: QuietLog;
  readonly #sessions = new Set<Session>();
  readonly #stop = new AbortController();

  constructor(options: RelayOptions) {
    const { log, store, now, policyInterval: interval } = options;
    const { metrics: shown = new Metrics() } = options;
    const limits = { ...DEFAULT_RELAY_LIMITS, ...options.limits };
    const clock = () => performance.now();
    const metrics = new RelayMetrics(shown);
    const refusals = new Refusals(metrics, log, clock);
    const { approvals, approvalsPerDevice } = limits;
    this.#limits = limits;
    this.#metrics = metrics;
    this.#refusals = refusals;
    this.#failures = new QuietLog(log, clock);
    this.#door = new Door({ limits, refusals, log, clock });
    this.#members = new Members({ limits, metrics, refusals });
    this.#audit = new AuditLog({ ...options.audit, store, log, now });
    this.access = new Access({ store, log, now, interval });
    this.approvals = new Approvals({ most: approvals, mostPerDevice: approvalsPerDevice });
    this.#gate = { isRevoked: (member) => this.access.isRevoked(member), ...options };
    const mayApprove = (operator: string) => this.access.rights(operator).approver;
    this.#host = new Host({
      ...{ gate: this.#gate, limits, log, metrics, refusals },
      members: this.#members,
      registry: this.registry,
      presences: new Presences({ registry: this.registry, now, interval: options.watchInterval }),
      approvals: this.approvals,
      access: this.access,
      audit: this.#audit,
      mayApprove: options.mayApprove ?? mayApprove,
      stop: this.#stop.signal,
    });
    const observe = (name: string, help: string, read: () => number) =>
      shown.observe(`tunnel_relay_${name}`, help, "gauge", read);
    observe("pending", "Connections that have not signed in.", () => this.#door.pending);
    observe("devices", "Devices that are online.", () => this.registry.size);
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
      if (guest) this.#receive(incoming, guest);
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
    await this.#host.close();
    await this.#audit.close();
  }

  /** Never rejects. */
  async #receive(incoming: Incoming, guest: Guest): Promise<void> {
    let session: Session | undefined;
    let leaveLine = () => {};
    try {
      leaveLine = await this.#wait(incoming, guest);
      session = await this.#accept(incoming, guest);
      const admitted = await this.#signIn(session, guest);
      // Not awaited: this call and all that it holds would last as long as the session.
      this.#host.host(session, admitted, guest);
    } catch (cause) {
      const error = toTunnelError(cause, "accept a session", "protocol");
      session?.close(closeInfo(CloseCode.done, error.parts.state));
      // Limits have said so themselves, and a page that was asked for and given is no failure.
      const isAnswered = !session && error.code === "closed";
      if (error.code !== "limit" && !isAnswered) {
        this.#failures.warn(error.message, { transport: incoming.transport });
      }
      guest.leave();
    } finally {
      leaveLine();
    }
  }

  /** Waits in line. Who has waited too long has likely given up, so nothing more is spent on it. */
  async #wait(incoming: Incoming, guest: Guest): Promise<() => void> {
    try {
      const options = { action: "let a connection in", timeout: guest.timeout };
      const leaveLine = await withDeadline(options, (signal) => this.#line.enter(signal));
      guest.begin();
      return leaveLine;
    } catch (cause) {
      incoming.refuse();
      throw cause;
    }
  }

  async #accept(incoming: Incoming, guest: Guest): Promise<Session> {
    const { transport } = incoming;
    const { handshakes } = this.#metrics;
    try {
      const options = { action: "accept a session", timeout: guest.timeout };
      const admit = guest.arrive.bind(guest);
      const session = await withDeadline(options, (signal) => incoming.accept({ signal, admit }));
      this.#remember(session);
      guest.proven();
      // One port may serve several kinds, and which one it is shows only now.
      handshakes.of(session.transport, "done").add();
      return session;
    } catch (cause) {
      handshakes.of(transport, toTunnelError(cause, "", "protocol").code).add();
      throw cause;
    }
  }

  /** In a call of its own: what waits for the end of a session holds on to what its call knows. */
  #remember(session: Session): void {
    this.#sessions.add(session);
    const forget = () => this.#sessions.delete(session);
    session.closed.then(forget, forget);
  }

  async #signIn(session: Session, guest: Guest): Promise<Admitted> {
    const { signIns } = this.#metrics;
    const [members, refusals] = [this.#members, this.#refusals];
    try {
      const { access } = this;
      const audit = this.#audit;
      const bounds = { bytes: this.#limits.signInBytes, guest, members, refusals, access, audit };
      const admitted = await admit(session, this.#gate, bounds);
      this.#audit.record(sessionEvent("sign-in", admitted.member, session));
      guest.signedIn();
      session.welcome?.();
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
}
