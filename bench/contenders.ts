/** What is measured: ways from a local port to the target, each of processes of its own. */

import { developmentCertificate } from "../stores/certificate.ts";
import { Running, type RunOptions, tempDir, tunnel as usualTunnel } from "../tests/processes.ts";
import { HOST } from "./bare/main.ts";

/** A way to the target. */
export interface Contender {
  readonly name: string;
  /** The local port whose connections arrive at the target. */
  readonly port: number;
  /** Its processes by role (service, relay, device, or the tool's own names); none without a tunnel. */
  readonly processes: readonly Process[];
}

/** A process of a contender. */
export interface Process {
  readonly role: string;
  readonly pid: number;
}

/** All that are wanted, running. */
export interface Field extends AsyncDisposable {
  readonly contenders: readonly Contender[];
  /** Those that did not start, and why. */
  readonly failures: ReadonlyMap<string, string>;
}

type Starter = (start: StartContext) => Promise<number>;

interface StartContext {
  readonly target: number;
  readonly home: string;
  /** Keeps a process of this role until the field goes. */
  readonly keep: (role: string, running: Running) => Running;
}

const STARTERS: Record<string, Starter> = {
  "direct": ({ target }) => Promise.resolve(target),
  "bare quic": async (context) => {
    const relay = await bare(context, "quic", "relay");
    await bare(context, "quic", "device", context.target, relay);
    return await bare(context, "quic", "service", relay);
  },
  "tunnel quic": (context) => tunnelOver(context, "quic"),
  "plain quic": (context) => tunnelOver(context, "quic", plainTunnel),
  "bare websocket": (context) => bareSockets(context, "websocket"),
  "tunnel websocket": (context) => tunnelOver(context, "websocket"),
  "plain websocket": (context) => tunnelOver(context, "websocket", plainTunnel),
  "bare tls": (context) => bareSockets(context, "tls"),
};

/** Every name, in the order of measurement. */
export const NAMES: readonly string[] = Object.keys(STARTERS);

/** What a contender is compared with: the copying alone, and the engine without its encryption. */
export const REFERENCES: Readonly<Record<string, readonly string[]>> = {
  "tunnel quic": ["bare quic", "plain quic"],
  "plain quic": ["bare quic"],
  "tunnel websocket": ["bare websocket", "plain websocket"],
  "plain websocket": ["bare websocket"],
};

/** Starts the contenders of these names; one that fails to start does not keep the others. */
export async function startField(names: readonly string[], target: number): Promise<Field> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await tempDir());
  const contenders: Contender[] = [];
  const failures = new Map<string, string>();
  for (const name of names) {
    const processes: Process[] = [];
    const keep = (role: string, running: Running) => {
      processes.push({ role, pid: running.pid });
      return stack.use(running);
    };
    try {
      const port = await STARTERS[name]!({ target, home: home.path, keep });
      contenders.push({ name, port, processes });
    } catch (error) {
      failures.set(name, `it did not start: ${error}`);
    }
  }
  const owned = stack.move();
  return { contenders, failures, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function tunnelOver(
  { target, home, keep }: StartContext,
  transport: string,
  tunnel = usualTunnel,
): Promise<number> {
  // A relay of its own, so that one contender's leftovers are not another's load.
  const env = { TUNNEL_HOME: `${home}/${tunnel.name}-${transport}`, TUNNEL_TRANSPORT: transport };
  const relay = keep("relay", tunnel(["relay", "--listen", `${HOST}:0`], { env }));
  await relay.line(/^relay ready /m);
  const device = keep(
    "device",
    tunnel(["device", "--id", "bench", "--allow", String(target)], { env }),
  );
  await device.line(/^device bench online /m);
  const service = keep("service", tunnel(["connect", "bench", String(target)], { env }));
  return Number(await service.line(/^listening \S+:(\d+) -> /m));
}

/** The same without the encryption end to end: see plain/cipher_state.ts. */
function plainTunnel(args: readonly string[], options?: RunOptions): Running {
  const path = (name: string) => new URL(name, import.meta.url).pathname;
  const map = `--import-map=${path("plain/imports.json")}`;
  const command = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", map];
  return new Running([...command, path("../cmd/main.ts"), ...args], options);
}

async function bareSockets(context: StartContext, kind: string): Promise<number> {
  const device = await bare(context, kind, "device", context.target);
  const relay = await bare(context, kind, "relay", device);
  return await bare(context, kind, "service", relay);
}

/** Starts one reference program; settles with the port that it listens on. */
async function bare(
  { home, keep }: StartContext,
  kind: string,
  role: string,
  ...ports: number[]
): Promise<number> {
  const main = new URL("bare/main.ts", import.meta.url).pathname;
  const certificates = `${home}/bare`;
  const { root } = await developmentCertificate(certificates, { names: [HOST] });
  const trusted = `${home}/bare.pem`;
  await Deno.writeTextFile(trusted, root);
  const command = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", main];
  const running = keep(
    role,
    new Running([...command, kind, role, certificates, ...ports.map(String)], {
      env: { DENO_CERT: trusted },
    }),
  );
  return Number(await running.line(/^ready (\d+)$/m));
}
