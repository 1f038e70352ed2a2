/** The contenders of the link suite: each is a way across one emulated link. */

import { describe } from "../../core/errors.ts";
import { Running, type RunOptions, tempDir, tunnel } from "../../tests/processes.ts";
import { find } from "../../tests/require.ts";
import { freePort, startSshServer } from "../../tests/ssh_server.ts";
import { developmentCertificate } from "../../stores/certificate.ts";
import type { Contender, Field } from "../contenders.ts";
import type { Load } from "../generator.ts";
import type { Link, Namespace } from "./link.ts";

/** Who is on the near side of the link; the others are on the far one, the target with the device. */
export type Near = "service" | "device";

/** How TCP reacts to loss: of the system, for all connections of a namespace. */
export type CongestionControl = "cubic" | "bbr";

export interface LinkContender extends Contender {
  /** The address of the listener on the service's side. */
  readonly host: string;
  /** Of the TCP connections that are made while it is measured. */
  readonly tcp: CongestionControl;
  /** Its process of this role. */
  readonly running: (role: string) => Running;
}

/** What a contender is started with. */
interface Context {
  /** Where each role runs. */
  readonly sides: Readonly<Record<"service" | "relay" | "device", Namespace>>;
  /** The port of the target, where the device is, on every address. */
  readonly target: string;
  readonly home: string;
  readonly keep: (role: string, running: Running) => Running;
}

type Starter = (context: Context) => Promise<{ host?: string; port: number }>;

const STARTERS: Readonly<Record<string, { tcp?: CongestionControl; start: Starter }>> = {
  "direct, cubic": { start: direct },
  "direct, bbr": { tcp: "bbr", start: direct },
  "bare quic": { start: bareQuic },
  "tunnel quic": { start: (context) => tunnelOver(context, "quic") },
  "tunnel webtransport": { start: (context) => tunnelOver(context, "webtransport") },
  "tunnel websocket": { start: (context) => tunnelOver(context, "websocket") },
  "openssh": { start: openssh },
};

/** Every name, in the order of measurement. */
export const LINK_NAMES: readonly string[] = Object.keys(STARTERS);

/** A tunnel over one TCP connection with Cubic: what the ratios are to. */
export const TCP_TUNNEL = "openssh";

export interface LinkField extends Field {
  readonly contenders: readonly LinkContender[];
}

/** Starts the contenders of these names; one that fails to start does not keep the others. */
export async function startLinkField(
  link: Link,
  near: Near,
  names: readonly string[],
): Promise<LinkField> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await tempDir());
  const side = (role: string) => role === near ? link.near : link.far;
  const sides = { service: side("service"), relay: side("relay"), device: side("device") };
  const target = stack.use(program("../target.ts", ["0.0.0.0"], on(sides.device)));
  const port = await target.line(/^port (\d+)$/m);
  const contenders: LinkContender[] = [];
  const failures = new Map<string, string>();
  for (const name of names) {
    const { tcp = "cubic", start } = STARTERS[name]!;
    const all = new Map<string, Running>();
    const keep = (role: string, running: Running) => {
      all.set(role, running);
      return stack.use(running);
    };
    try {
      await link.useTcp(tcp);
      const context = { sides, target: port, home: `${home.path}/${name}`, keep };
      await Deno.mkdir(context.home);
      const found = await start(context);
      const processes = [...all].map(([role, { pid }]) => ({ role, pid }));
      const running = (role: string) => all.get(role)!;
      contenders.push({ name, host: "127.0.0.1", tcp, processes, running, ...found });
    } catch (error) {
      failures.set(name, `it did not start: ${describe(error)}`);
    }
  }
  const owned = stack.move();
  return {
    contenders,
    failures,
    absent: new Map(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export interface LoadOptions {
  readonly direction: "up" | "down";
  /** 0 to 256; round trips are made on another one. */
  readonly streams: number;
  /** Seconds before anything counts. */
  readonly settle: number;
  /** Seconds of measurement. */
  readonly seconds: number;
}

/** Loads a contender from the service's side. @throws when it does not carry the load */
export async function load(
  link: Link,
  near: Near,
  { host, port, tcp }: Pick<LinkContender, "host" | "port" | "tcp">,
  { direction, streams, settle, seconds }: LoadOptions,
): Promise<Load> {
  await link.useTcp(tcp);
  const args = [`${host}:${port}`, direction, streams, settle, seconds].map(String);
  const side = near === "service" ? link.near : link.far;
  await using running = program("../generator.ts", args, on(side));
  return JSON.parse(await running.line(/^(\{.*\})$/m));
}

function direct({ sides, target }: Context): ReturnType<Starter> {
  return Promise.resolve({ host: sides.device.address, port: Number(target) });
}

async function tunnelOver(
  { sides, target, home, keep }: Context,
  transport: string,
): ReturnType<Starter> {
  const env = { TUNNEL_HOME: home, TUNNEL_TRANSPORT: transport, TUNNEL_LOG_LEVEL: "info" };
  const run = (role: keyof typeof sides, args: string[]) =>
    keep(role, tunnel(args, { env, ...on(sides[role]) }));
  const relay = run("relay", ["relay", "--listen", `${sides.relay.address}:0`]);
  await relay.line(/^relay ready /m);
  const device = run("device", ["device", "--id", "bench", "--allow", target]);
  await device.line(/^device bench online /m);
  const service = run("service", ["connect", "bench", target]);
  return { port: Number(await service.line(/^listening \S+:(\d+) -> /m)) };
}

async function bareQuic({ sides, target, home, keep }: Context): ReturnType<Starter> {
  const { root } = await developmentCertificate(home, { names: ["127.0.0.1"] });
  const env = { DENO_CERT: `${home}/trusted.pem`, BARE_RELAY: sides.relay.address };
  await Deno.writeTextFile(env.DENO_CERT, root);
  const run = async (role: keyof typeof sides, ...ports: string[]) => {
    const options = { env, ...on(sides[role]) };
    const running = program("../bare/main.ts", ["quic", role, home, ...ports], options);
    return await keep(role, running).line(/^ready (\d+)$/m);
  };
  const relay = await run("relay");
  await run("device", target, relay);
  return { port: Number(await run("service", relay)) };
}

/** One sshd in the relay's place, `ssh -R` at the device, `ssh -L` at the service. */
async function openssh({ sides, target, home, keep }: Context): ReturnType<Starter> {
  const { address } = sides.relay;
  const server = await startSshServer(home, {
    address,
    within: on(sides.relay).within,
    keep: (running) => keep("relay", running),
  });
  // Of an option that is given twice the first counts.
  const login = ["-o", "LogLevel=INFO", "-o", "ExitOnForwardFailure=yes", ...server.options];
  const ssh = (role: "device" | "service", forward: string[]) =>
    keep(
      role,
      new Running(
        [
          find("ssh")!,
          "-N",
          ...login,
          ...forward,
          "-p",
          `${server.port}`,
          `${server.user}@${address}`,
        ],
        on(sides[role]),
      ),
    );
  const device = ssh("device", ["-R", `127.0.0.1:0:127.0.0.1:${target}`]);
  const reverse = await device.line(/Allocated port (\d+) for remote forward/, "stderr");
  const port = freePort();
  const service = ssh("service", ["-v", "-L", `127.0.0.1:${port}:127.0.0.1:${reverse}`]);
  await service.line(/Local forwarding listening on 127.0.0.1/, "stderr");
  return { port };
}

function on(
  side: Namespace,
): Pick<RunOptions, "within"> & { within: (c: readonly string[]) => string[] } {
  return { within: (command) => side.command(command) };
}

function program(name: string, args: readonly string[], options: RunOptions): Running {
  const path = new URL(name, import.meta.url).pathname;
  return new Running(
    [Deno.execPath(), "run", "-A", "--quiet", "--no-check", path, ...args],
    options,
  );
}
