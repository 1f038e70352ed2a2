/** A relay, devices and operators in one process, for tests of the engine over any transport. */

import type { Target } from "../core/allow.ts";
import type { ApprovalOptions } from "../core/approval.ts";
import type { Channel } from "../core/channel/channel.ts";
import { Device, type DeviceOptions, type TargetConnector } from "../core/device.ts";
import { Dialer, type DialerOptions, type DialOptions } from "../core/dialer.ts";
import type { LinkSource } from "../core/places.ts";
import type { Duplex } from "../core/duplex.ts";
import { openLink, type SessionConnector } from "../core/endpoint.ts";
import { Authority, type Role, Verifier } from "../core/identity/credential.ts";
import { newSecret } from "../core/identity/join.ts";
import type { Link } from "../core/link.ts";
import type { Claim } from "../core/sign_in.ts";
import { type Log, SILENT } from "../core/log.ts";
import { generateMemberKeys, Membership, publicKeysOf } from "../core/membership.ts";
import { Metrics } from "../core/metrics.ts";
import { EVERYTHING } from "../core/policy/grant.ts";
import { Relay, type RelayOptions } from "../core/relay/relay.ts";
import type { Session } from "../core/transport.ts";
import { MemoryStore } from "../stores/memory.ts";
import { memoryTransport } from "../transports/memory.ts";

export interface Fleet extends AsyncDisposable {
  readonly relay: Relay;
  readonly authority: Authority;
  readonly store: MemoryStore;
  readonly metrics: Metrics;
  readonly url: URL;
  readonly transport: ReturnType<typeof memoryTransport>;
  /** Sessions that this fleet's members have made, newest last. */
  readonly sessions: Session[];
  readonly connector: SessionConnector;
  /** The devices that {@linkcode Fleet.device} has made, newest last. */
  readonly devices: Device[];
  /** What the relay has counted under a name, `tunnel_relay_` left out, with these label values. */
  count(name: string, ...labels: string[]): number;
  claim(role: Role, name: string, options?: MemberSetup): Promise<Claim>;
  member(role: Role, name: string, options?: MemberSetup): Promise<Member>;
  /** Signs in; a device also serves dials. */
  operator(name?: string, options?: MemberSetup): Promise<Link>;
  /** Signs in as a member that is no device, or serves no dials. */
  signIn(identity: Membership, instance?: string): Promise<Link>;
  device(id: string, options?: DeviceSetup): Promise<Link>;
  /** A device that has no link yet. */
  serve(id: string, options: DeviceSetup & { member: Member }): Device;
  /** A dialer for operator `name`, over one link or whatever links there are. */
  dialer(
    links: Link | LinkSource,
    options?: Partial<DialerOptions>,
    name?: string,
  ): Promise<Dialer>;
  /** Dials over a link of an operator's, for a channel that ends with it. */
  dial(
    operator: Link,
    device: string,
    target: Target,
    options?: DialOptions,
  ): Promise<Channel>;
}

/** Who a member is to a relay, and on channels. */
export interface Member {
  readonly claim: Claim;
  readonly identity: Membership;
}

interface MemberSetup {
  ttl?: number;
  now?: number;
  /** An operator's, beside those that the name has; default everything for a name that is new. */
  grants?: readonly { scope: string; until?: number }[];
}

export interface DeviceSetup {
  allow?: Target[];
  connect?: TargetConnector;
  instance?: string;
  resumeWindow?: number;
  approval?: ApprovalOptions;
  channel?: DeviceOptions["channel"];
  now?: () => number;
  log?: Log;
  verifier?: Verifier;
  /** Who it is; a new member of that ID unless said otherwise. */
  member?: Member;
}

export async function startFleet(
  options: Partial<RelayOptions> = {},
): Promise<Fleet> {
  const { log = SILENT, now = Date.now } = options;
  const transport = memoryTransport();
  const limits = options.streams === undefined ? undefined : { streams: options.streams };
  const at = { hostname: "relay", port: 443, cert: "", key: "", limits };
  const listener = await transport.listen(at);
  const { authority = await Authority.generate() } = options;
  const store = new MemoryStore();
  const metrics = new Metrics();
  const relay = new Relay({
    store,
    authority,
    verifier: new Verifier(authority.publicJwk),
    isOwnAddress: (address) => address === "relay:443",
    agent: "test",
    now: Date.now,
    log,
    metrics,
    ...options,
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
  const operators = new Set<string>();
  const give = async (name: string, wanted: MemberSetup["grants"]) => {
    const grants = wanted ?? (operators.has(name) ? [] : [{ scope: EVERYTHING }]);
    operators.add(name);
    const invite = { type: "invite", role: "operator", name, uses: 1 } as const;
    const [secretHash, expiresAt] = [newSecret(), now() + 60_000];
    const change = { ...invite, secretHash, expiresAt, grants: [...grants] };
    await store.apply(change, { by: "local:test", at: now() });
    await relay.access.refresh();
  };
  const member: Fleet["member"] = async (role, name, { grants, ...times } = {}) => {
    if (role === "operator") await give(name, grants);
    const keys = await generateMemberKeys();
    const { key: holder, agreement } = await publicKeysOf(keys);
    const { token } = await authority.issue({ role, name, holder, agreement, ...times });
    const identity = await Membership.of({ credential: token, ...keys });
    return { claim: identity.claim(), identity };
  };
  const claim: Fleet["claim"] = async (...args) => (await member(...args)).claim;
  const signIn: Fleet["signIn"] = (identity, instance) => {
    const claim = () => identity.claim();
    return openLink({ relay: url, claim, connector, agent: "test" }, undefined, instance);
  };
  const verifier = new Verifier(authority.publicJwk);
  const devices: Device[] = [];
  const made: Dialer[] = [];
  const dialers = new Map<Link, Promise<Dialer>>();
  const dialer: Fleet["dialer"] = async (links, options, name = "night-shift") => {
    const dialer = new Dialer({
      links: "link" in links ? links : { link: () => Promise.resolve(links) },
      identity: (await member("operator", name)).identity,
      verifier,
      log,
      ...options,
    });
    made.push(dialer);
    return dialer;
  };
  const serve: Fleet["serve"] = (id, { member: { identity }, ...setup }) => {
    const served = new Device({
      id,
      identity,
      verifier,
      allow: [{ port: 7 }],
      connect: echoTarget,
      log,
      ...setup,
    });
    devices.push(served);
    return served;
  };
  return {
    relay,
    authority,
    store,
    metrics,
    count: (name, ...labels) => countOf(metrics, `tunnel_relay_${name}`, labels),
    url,
    transport,
    sessions,
    connector,
    claim,
    member,
    devices,
    dialer,
    async operator(name = "night-shift", setup) {
      return await signIn((await member("operator", name, setup)).identity);
    },
    signIn,
    serve,
    async device(id, { instance, member: given, ...setup } = {}) {
      const who = given ?? await member("device", id);
      const { identity } = who;
      const claim = () => identity.claim();
      const served = serve(id, { ...setup, member: who });
      const options = { relay: url, claim, connector, agent: "test", epoch: () => served.epoch };
      const link = await openLink(options, undefined, instance);
      served.serve(link);
      return link;
    },
    async dial(operator, device, target, options) {
      let dialling = dialers.get(operator);
      if (!dialling) {
        dialling = dialer(operator, { resumeWindow: 0 }, operator.principal.name);
        dialers.set(operator, dialling);
      }
      return await (await dialling).dial(device, target, options);
    },
    async [Symbol.asyncDispose]() {
      for (const device of devices) await device.close();
      for (const dialer of made) await dialer.close();
      await listener.close();
      await relay.close();
      await serving;
    },
  };
}

function countOf(metrics: Metrics, name: string, values: readonly string[]): number {
  const metric = [...metrics].find((metric) => metric.name === name);
  if (!metric) throw new Error(`there is no metric ${name}`);
  for (const { labels, value } of metric.samples()) {
    if (Object.values(labels).join() === values.join()) return value;
  }
  return 0;
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
