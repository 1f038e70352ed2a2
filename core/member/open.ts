/** `connect` and `serve`, for whatever runtime: each says how it makes sessions. */

import { DEFAULT_ALLOW, type Target } from "../allow.ts";
import { type ApprovalOptions, DEFAULT_APPROVAL_TIMEOUT } from "../approval.ts";
import type { DialAcceptor } from "../accept.ts";
import { askOperators } from "../ask_operators.ts";
import type { SessionConnector } from "../endpoint.ts";
import { TunnelError } from "../errors.ts";
import { type Role, Verifier } from "../identity/credential.ts";
import { decodeJoin } from "../identity/join.ts";
import type { AgreementJwk } from "../identity/keys.ts";
import { type Log, SILENT } from "../log.ts";
import { formOf } from "../membership.ts";
import { parseDeviceId } from "../names.ts";
import type { TargetConnector } from "../offer.ts";
import { AGENT } from "../version.ts";
import { DeviceServer } from "./device_server.ts";
import { checkFits, identityByJoin } from "./enrol.ts";
import { Fleet } from "./fleet.ts";
import type { Identity, MemberStore } from "./identity.ts";
import { DEVICE_LIMITS, type Limits } from "../transport.ts";
import { targetOf } from "./target.ts";

/** What a runtime has to offer. */
export interface Runtime {
  /** A way to a relay, which is to be trusted by this root (PEM) beside the platform's. */
  connector(
    trust: { root?: string },
    options: SessionOptions,
    /** Of its sessions; by default an operator's. */
    limits?: Limits,
  ): SessionConnector | Promise<SessionConnector>;
  /** Connects to local targets of a device. */
  readonly connectTcp: TargetConnector;
}

/** How the relay is reached. */
export interface SessionOptions {
  /** The name of the only transport to use; by default the best that works. */
  readonly transport?: string;
  /**
   * An HTTP CONNECT proxy, `http://user:password@host:port`; by default as `HTTPS_PROXY` and
   * `NO_PROXY` say. A browser has its own and uses neither.
   */
  readonly proxy?: URL | string;
}

/** Who a program is: what its store has, with a join string to get there; or an identity by itself. */
export type Credentials =
  | {
    /** Keeps the identity from one run to the next. */
    readonly store: MemberStore;
    /**
     * As `tunnel invite` prints it. Used once: from then on the identity of the store is, so that the
     * string may stay where it is configured.
     */
    readonly join?: string;
    readonly identity?: undefined;
  }
  | {
    /** Nothing is kept: what renewals make is gone when the program ends. */
    readonly identity: Identity;
    readonly store?: undefined;
    readonly join?: undefined;
  };

interface Common extends SessionOptions {
  /**
   * Milliseconds that a connection without a path is kept, for instance while a relay restarts;
   * default 300,000. 0: it is reset at once.
   */
  readonly resumeWindow?: number;
  /** Hears what happens; by default nobody does. No secret is among it. */
  readonly log?: Log;
  /** Gives up the start; what has started is ended by `close`. */
  readonly signal?: AbortSignal;
}

/** How {@linkcode Fleet} is opened. */
export type FleetOptions = Credentials & Common & {
  /**
   * Has the last word on a device's key, once the fleet's authority has vouched for it: the place to
   * pin keys, or to show them. What it throws refuses the dial.
   */
  readonly trust?: (device: string, key: AgreementJwk) => void | Promise<void>;
  /** Milliseconds that a device may have somebody decide about a dial; default 300,000. */
  readonly approvalTimeout?: number;
};

/** What a device offers, and how it is reached. */
export type ServeOptions = Credentials & Common & {
  /** The device's ID, which must be that of the join string or of the identity. */
  readonly id: string;
  /**
   * TCP targets that may be dialled: `22`, `"printer:9100"`. By default 127.0.0.1:22, and nothing
   * where there is `accept`.
   */
  readonly allow?: readonly (number | string | Target)[];
  /** Has the first word on every dial, and may serve it without a socket. */
  readonly accept?: DialAcceptor;
  /**
   * Every new dial waits for a decision: `"operators"` with the right to approve are asked, by way of
   * the relay, or this function.
   */
  readonly approve?: "operators" | ApprovalOptions["ask"];
  /** Milliseconds for a decision, at most 300,000; default 120,000. */
  readonly approveTimeout?: number;
};

/** See the `connect` of each runtime. */
export async function openFleet(runtime: Runtime, options: FleetOptions): Promise<Fleet> {
  const { log = SILENT, signal } = options;
  const { identity, store } = await credentialsOf(runtime, "operator", undefined, options);
  const connector = await runtime.connector(identity, options);
  return await Fleet.open({ ...options, identity, store, connector, agent: AGENT, log }, signal);
}

/** See the `serve` of each runtime. */
export async function openDevice(runtime: Runtime, options: ServeOptions): Promise<DeviceServer> {
  const { accept, approve, approveTimeout: timeout = DEFAULT_APPROVAL_TIMEOUT } = options;
  const { log = SILENT, signal } = options;
  const id = parseDeviceId(options.id);
  const allow = options.allow?.map(targetOf) ?? (accept ? [] : DEFAULT_ALLOW);
  const { identity, store } = await credentialsOf(runtime, "device", id, options);
  const verifier = new Verifier(identity.authority);
  const ask = approve === "operators" ? askOperators({ verifier, timeout }) : approve;
  const device = await DeviceServer.start({
    ...{ identity, store, allow, accept, log },
    approval: ask && { ask, timeout },
    connect: runtime.connectTcp,
    connector: await runtime.connector(identity, options, DEVICE_LIMITS),
    agent: AGENT,
    resumeWindow: options.resumeWindow,
  });
  try {
    await device.online(signal);
    return device;
  } catch (cause) {
    await device.close();
    throw cause;
  }
}

async function credentialsOf(
  runtime: Runtime,
  role: Role,
  name: string | undefined,
  options: Credentials & Common,
): Promise<{ identity: Identity; store: MemberStore }> {
  if (options.identity) {
    const { identity } = options;
    if (identity.role === role && (name === undefined || identity.name === name)) {
      return { identity, store: nowhere(identity) };
    }
    throw new TunnelError("usage", {
      action: `be ${role} ${name ?? ""}`.trim(),
      state: `the identity is ${identity.role} ${identity.name}'s`,
    });
  }
  const { store, join: text, log = SILENT, signal } = options;
  const join = text === undefined ? undefined : decodeJoin(text);
  if (join) checkFits(join, role, name);
  const kept = await store.load(role, name);
  if (join) {
    const connector = (trust: { root?: string }) => runtime.connector(trust, options);
    const how = { store, connector, agent: AGENT, log, signal };
    return { identity: await identityByJoin(join, kept, how), store };
  }
  if (kept) return { identity: kept, store };
  throw new TunnelError("refused", {
    action: `be ${role} ${name ?? ""}`.trim(),
    state: "the store has no such identity",
    remedy: `get a join string from \`tunnel invite ${role} ${name ?? "NAME"}\` and give it: join`,
  });
}

/** For an identity that is kept elsewhere, or not at all. */
function nowhere(identity: Identity): MemberStore {
  return {
    form: formOf(identity),
    load: () => Promise.resolve(identity),
    save: () => Promise.resolve(),
    replace: () => Promise.resolve(true),
  };
}
