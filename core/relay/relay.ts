/** The relay: admits sessions, keeps the registry of devices, and joins dials to devices. */

import { withDeadline } from "../deadline.ts";
import { describe, toTunnelError, TunnelError } from "../errors.ts";
import type { Log } from "../log.ts";
import { CloseCode, closeInfo, type Incoming, type Listener, type Session } from "../transport.ts";
import { admit, type Admitted, type Gate } from "./admission.ts";
import { handleDial } from "./dial.ts";
import { Registry } from "./registry.ts";
import { serveRequests } from "./requests.ts";

/** Bounds of a relay; every one is reserved before anything is spent on a peer. */
export interface RelayLimits {
  /** Sessions, admitted and not; default 20,000. */
  sessions: number;
  /** Sessions that have not signed in yet; default 1,000. */
  pending: number;
  /** Milliseconds from a connection to the end of its sign-in; default 10,000. */
  signInTimeout: number;
  /** Milliseconds that a device has to answer a dial; default 30,000. */
  dialTimeout: number;
}

export const DEFAULT_RELAY_LIMITS: Readonly<RelayLimits> = {
  sessions: 20_000,
  pending: 1_000,
  signInTimeout: 10_000,
  dialTimeout: 30_000,
};

export interface RelayOptions extends Gate {
  readonly log: Log;
  readonly limits?: Partial<RelayLimits>;
}

/** A relay without sockets of its own: {@linkcode Relay.serve} gives it listeners. */
export class Relay {
  readonly registry = new Registry();
  readonly #options: RelayOptions;
  readonly #limits: RelayLimits;
  readonly #sessions = new Set<Session>();
  readonly #stop = new AbortController();
  #pending = 0;
  #refused = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_RELAY_LIMITS, ...options.limits };
  }

  /** Sessions now, those that are signing in included. */
  get sessions(): number {
    return this.#sessions.size + this.#pending;
  }

  /** Admits what comes in until the listener is closed. Rejects when the listener fails. */
  async serve(listener: Listener): Promise<void> {
    for await (const incoming of listener) {
      if (this.#pending >= this.#limits.pending || this.sessions >= this.#limits.sessions) {
        incoming.refuse();
        // One line for the first and then for each thousandth: a flood must not flood the log.
        if (this.#refused++ % 1_000 === 0) {
          this.#options.log.warn("connections refused: a limit is reached", {
            refused: this.#refused,
            pending: this.#pending,
            sessions: this.sessions,
          });
        }
      } else {
        this.#host(incoming);
      }
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
  }

  async #host(incoming: Incoming): Promise<void> {
    const { log } = this.#options;
    this.#pending++;
    let session: Session;
    let admitted: Admitted;
    try {
      const began = performance.now();
      const options = { action: "accept a session", timeout: this.#limits.signInTimeout };
      session = await withDeadline(options, (signal) => incoming.accept({ signal }));
      this.#sessions.add(session);
      session.closed.catch(() => {}).finally(() => this.#sessions.delete(session));
      // Counted among the sessions from here on, and among the pending ones until it has signed in.
      const left = this.#limits.signInTimeout - (performance.now() - began);
      admitted = await admit(session, this.#options, Math.max(1, left));
    } catch (cause) {
      const error = toTunnelError(cause, "accept a session", "protocol");
      log.warn(error.message, { transport: incoming.transport });
      return;
    } finally {
      this.#pending--;
    }
    const { role, name } = admitted.member;
    const facts = { [role]: name, via: session.transport, from: session.remote.hostname };
    log.info("signed in", facts);
    let info = closeInfo(CloseCode.done, "");
    try {
      await (role === "device"
        ? this.#hostDevice(session, admitted)
        : this.#hostOperator(session, admitted));
    } catch (cause) {
      const error = toTunnelError(cause, "", "reset");
      if (error.code === "protocol") info = closeInfo(CloseCode.protocol, error.parts.state);
      if (error.code === "internal") {
        log.error("session failed", { ...facts, why: describe(cause) });
      }
    }
    // A task on the session fails when the session ends: what the session itself says is the story.
    session.close(info);
    await session.closed.then(
      ({ reason }) => log.info("session ended", { ...facts, why: reason || undefined }),
      (cause) => log.info("session lost", { ...facts, why: describe(cause) }),
    );
  }

  async #hostDevice(session: Session, admitted: Admitted): Promise<void> {
    const { store, now, log } = this.#options;
    const { member, instance } = admitted;
    const { credential, epoch } = admitted;
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
        this.#requests(session, admitted),
        this.#refuseStreams(session),
      ]);
    } finally {
      if (this.registry.remove(entry)) await seen();
    }
  }

  async #hostOperator(session: Session, admitted: Admitted): Promise<void> {
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
      for await (const stream of session.incoming) {
        handleDial(stream, {
          operator: admitted.member.name,
          registry: this.registry,
          store: this.#options.store,
          log: this.#options.log,
          timeout: this.#limits.dialTimeout,
          signal: gone.signal,
        });
      }
    };
    await Promise.all([session.closed, this.#requests(session, admitted), dials()]);
  }

  #requests(session: Session, { control, member: { role } }: Admitted): Promise<void> {
    const { store } = this.#options;
    return serveRequests(control, { role, store, find: (id) => this.registry.find(id) })
      // The control stream is the session's life: a peer that ends it is done.
      .then(() => session.close());
  }

  /** A device has nothing to dial. */
  async #refuseStreams(session: Session): Promise<void> {
    for await (const stream of session.incoming) {
      stream.readable.cancel().catch(() => {}); // The session has ended, and the stream with it.
      stream.writable.abort().catch(() => {});
    }
  }
}

function left(): TunnelError {
  return new TunnelError("closed", { action: "dial", state: "the operator has left" });
}
