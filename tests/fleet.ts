/** A relay, devices and operators in one process, for tests of the engine over any transport. */

import type { Target } from "../core/allow.ts";
import { serveDials, type TargetConnector } from "../core/device.ts";
import type { Duplex } from "../core/duplex.ts";
import { openLink, type SessionConnector } from "../core/endpoint.ts";
import { Authority, type Role, Verifier } from "../core/identity/credential.ts";
import { exportPublicKey, generateKeyPair } from "../core/identity/keys.ts";
import type { Claim, Link } from "../core/link.ts";
import { type Log, SILENT } from "../core/log.ts";
import { Relay, type RelayLimits } from "../core/relay/relay.ts";
import type { Session } from "../core/transport.ts";
import { MemoryStore } from "../stores/memory.ts";
import { memoryTransport } from "../transports/memory.ts";

export interface Fleet extends AsyncDisposable {
  readonly relay: Relay;
  readonly authority: Authority;
  readonly store: MemoryStore;
  readonly url: URL;
  readonly transport: ReturnType<typeof memoryTransport>;
  /** Sessions that this fleet's members have made, newest last. */
  readonly sessions: Session[];
  readonly connector: SessionConnector;
  claim(role: Role, name: string, options?: { ttl?: number; now?: number }): Promise<Claim>;
  /** Signs in; a device also serves dials. */
  operator(name?: string): Promise<Link>;
  device(id: string, options?: DeviceSetup): Promise<Link>;
}

export interface DeviceSetup {
  allow?: Target[];
  connect?: TargetConnector;
  instance?: string;
}

export async function startFleet(
  options: { limits?: Partial<RelayLimits>; log?: Log; now?: () => number } = {},
): Promise<Fleet> {
  const { limits, log = SILENT, now = Date.now } = options;
  const transport = memoryTransport();
  const listener = await transport.listen({ hostname: "relay", port: 443, cert: "", key: "" });
  const authority = await Authority.generate();
  const store = new MemoryStore();
  const relay = new Relay({
    store,
    authority,
    verifier: new Verifier(authority.publicJwk),
    isOwnAddress: (address) => address === "relay:443",
    agent: "test",
    now,
    log,
    limits,
  });
  const serving = relay.serve(listener);
  const url = new URL("tunnel://relay:443");
  const sessions: Session[] = [];
  const connector: SessionConnector = {
    async connect(url, signal) {
      const session = await transport.connect(url, { signal });
      sessions.push(session);
      return session;
    },
    improve: () => Promise.resolve(undefined),
  };
  const claim: Fleet["claim"] = async (role, name, times = {}) => {
    const { publicKey, privateKey } = await generateKeyPair();
    const holder = await exportPublicKey(publicKey);
    const { token } = await authority.issue({ role, name, holder, ...times });
    return { credential: token, privateKey };
  };
  const signIn = async (role: Role, name: string, instance?: string) =>
    await openLink(
      { relay: url, claim: await claim(role, name), connector, agent: "test" },
      undefined,
      instance,
    );
  return {
    relay,
    authority,
    store,
    url,
    transport,
    sessions,
    connector,
    claim,
    operator: (name = "night-shift") => signIn("operator", name),
    async device(id, { allow = [{ port: 7 }], connect = echoTarget, instance } = {}) {
      const link = await signIn("device", id, instance);
      serveDials(link, { allow, connect, log });
      return link;
    },
    async [Symbol.asyncDispose]() {
      await listener.close();
      await relay.close();
      await serving;
    },
  };
}

/** A target that sends back what it gets, and ends when it is ended. */
export function echoTarget(): Promise<Duplex> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const reader = readable.getReader();
  const writer = writable.getWriter();
  return Promise.resolve({
    async read() {
      const { value, done } = await reader.read();
      return done ? null : value;
    },
    write: (bytes) => writer.write(bytes.slice()),
    closeWrite: () => writer.close(),
    reset(error) {
      writer.abort(error).catch(() => {});
      reader.cancel(error).catch(() => {});
    },
  });
}
