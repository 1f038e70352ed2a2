/** A relay of its own, an operator, and processes of devices: what the fleet is measured on. */

import { delay, withDeadline } from "../../core/deadline.ts";
import { Dialer } from "../../core/dialer.ts";
import { superviseEndpoint } from "../../core/endpoint.ts";
import { TunnelError } from "../../core/errors.ts";
import { Verifier } from "../../core/identity/credential.ts";
import { SILENT } from "../../core/log.ts";
import { generateMemberKeys, Membership, publicKeysOf } from "../../core/membership.ts";
import { EVERYTHING } from "../../core/policy/grant.ts";
import { DEFAULT_LIMITS, type Limits } from "../../core/transport.ts";
import { Home } from "../../stores/home.ts";
import { Running, tempDir, tunnel } from "../../tests/processes.ts";
import { Connector } from "../../transports/connector.ts";
import { quic } from "../../transports/quic.ts";
import { websocket } from "../../transports/websocket/transport.ts";
import { HOST } from "../bare/main.ts";

/** Devices in one process: fewer would load the machine with processes, more one process with work. */
const CROWD = 1_000;
const OPERATOR = "night-shift";
/** Milliseconds between two looks at how many devices are online. */
const LOOK = 250;
/**
 * Each QUIC endpoint has 3 MB to receive into, of which it touches little. Once some were freed, glibc
 * takes such memory from its heap and clears it, which is resident then: 5 GB for a thousand.
 */
const CROWD_ENV = { MALLOC_MMAP_THRESHOLD_: "131072" };
/** All of them come from one address here, which the defaults would take for an attack. */
const LIMITS = ["address-rate=100000/s", "address-pending=100000"];

/** The target that every device allows. */
export const TARGET = { port: 7 };

/** The ID of a device by its number. */
export function deviceName(number: number): string {
  return `device-${number}`;
}

/** One transport alone, or as they race by default. */
export type Kind = "auto" | "quic" | "websocket";

/** The ways to a relay as the program has them, or one of them. */
export function connectorOf(
  transport: Kind,
  root: string | undefined,
  limits: Limits = DEFAULT_LIMITS,
): Connector {
  return new Connector({
    transports: [quic, websocket],
    only: transport === "auto" ? undefined : transport,
    caCerts: root ? [root] : undefined,
    limits,
  });
}

export class Ground implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #home: Home;
  readonly #transport: Kind;
  /** Fires when a process of devices has ended. */
  readonly #ended = new AbortController();
  #relay!: Running;
  #metrics = "";
  #port = 0;
  #dialer!: Dialer;

  private constructor(home: Home, transport: Kind) {
    this.#home = home;
    this.#transport = transport;
  }

  /** A relay without devices, and an operator that is signed in. */
  static async start(transport: Kind): Promise<Ground> {
    const folder = await tempDir();
    const ground = new Ground(new Home(folder.path), transport);
    ground.#stack.use(folder);
    try {
      ground.#stack.defer(() => ground.#relay[Symbol.asyncDispose]());
      await ground.startRelay();
      await ground.#startOperator();
      return ground;
    } catch (cause) {
      await ground[Symbol.asyncDispose]();
      throw cause;
    }
  }

  /** Settles when the relay listens. */
  async startRelay(): Promise<void> {
    const limits = LIMITS.flatMap((limit) => ["--limit", limit]);
    const env = { TUNNEL_HOME: this.#home.path };
    const listen = ["--listen", `${HOST}:${this.#port}`, "--metrics", `${HOST}:0`];
    this.#relay = tunnel(["relay", ...listen, ...limits], { env });
    this.#metrics = await this.#relay.line(/metrics are served url="?([^"\s]+)/, "stderr");
    this.#port = Number(await this.#relay.line(/^relay ready \S+:(\d+)$/m));
  }

  async killRelay(): Promise<void> {
    this.#relay.kill("SIGKILL");
    await this.#relay.outcome();
  }

  /** The operator's. */
  get dialer(): Dialer {
    return this.#dialer;
  }

  get relay(): Running {
    return this.#relay;
  }

  /**
   * Starts processes of so many devices together; see {@linkcode Ground.reaches}. The relay has seen all
   * of them before, as one has that knows a fleet: it tells them over what time to come back.
   */
  async startDevices(count: number): Promise<void> {
    const at = { at: Date.now(), transport: "none", remote: { hostname: HOST, port: 0 } };
    await using store = await this.#home.openStore();
    await store.devicesSeen(Array.from({ length: count }, (_, number) => [deviceName(number), at]));
    const crowd = new URL("crowd.ts", import.meta.url).pathname;
    // Elsewhere each device has a machine of its own: here they are not to take the relay's share.
    const command = [
      "nice",
      "-n",
      "19",
      Deno.execPath(),
      "run",
      "-A",
      "--quiet",
      "--no-check",
      crowd,
    ];
    for (let first = 0; first < count; first += CROWD) {
      const some = Math.min(CROWD, count - first);
      const args = [this.#home.path, this.#transport, String(first), String(some)];
      const crowd = this.#stack.use(new Running([...command, ...args], { env: CROWD_ENV }));
      crowd.outcome().then(({ stderr }) => {
        const state = `a process of devices has ended: ${stderr.trim()}`;
        this.#ended.abort(new TunnelError("internal", { action: "run devices", state }));
      });
    }
  }

  /**
   * Settles when the relay has so many devices.
   *
   * @param timeout milliseconds
   * @throws {TunnelError} when it does not, or a process of devices ends
   */
  async reaches(count: number, timeout: number): Promise<void> {
    const action = `have ${count} devices online`;
    await withDeadline({ action, timeout, signal: this.#ended.signal }, async (signal) => {
      while (await this.#devices(signal) < count) await delay(LOOK, signal);
    });
  }

  /** Devices that are online, as the relay says. */
  async #devices(signal: AbortSignal): Promise<number> {
    const page = await (await fetch(this.#metrics, { signal })).text();
    return Number(/^tunnel_relay_devices (\d+)$/m.exec(page)?.[1]);
  }

  async #startOperator(): Promise<void> {
    const authority = (await this.#home.authority())!;
    const { local, root } = (await this.#home.relayEndpoint())!;
    await using store = await this.#home.openStore();
    const grant = { type: "grant", operator: OPERATOR, scope: EVERYTHING } as const;
    await store.apply(grant, { by: "local:bench", at: Date.now() });
    const keys = await generateMemberKeys();
    const { key: holder, agreement } = await publicKeysOf(keys);
    const { token: credential } = await authority.issue({
      ...{ role: "operator", name: OPERATOR, holder, agreement },
    });
    const identity = await Membership.of({ credential, ...keys });
    const supervisor = superviseEndpoint({
      relay: new URL(local),
      claim: () => identity.claim(),
      connector: connectorOf(this.#transport, root),
      agent: "bench",
      log: SILENT,
    });
    const ending = new AbortController();
    const running = supervisor.run(ending.signal);
    const verifier = new Verifier(authority.publicJwk);
    const dialer = new Dialer({ links: supervisor, identity, verifier });
    this.#stack.defer(async () => {
      await dialer.close();
      ending.abort();
      await running;
    });
    await supervisor.link(10_000);
    this.#dialer = dialer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
