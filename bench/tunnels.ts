/** The tunnel itself, over each transport, and what it is measured against: references of our own. */

import { developmentCertificate } from "../stores/certificate.ts";
import {
  Running,
  type RunOptions,
  tunnel as usualTunnel,
  tunnelCommand,
} from "../tests/processes.ts";
import { HOST } from "./bare/main.ts";
import type { Recipe, StartContext, Started } from "./recipe.ts";

/** In the order of measurement: each reference beside the tunnel that it is one for. */
export const TUNNELS: Readonly<Record<string, Recipe>> = {
  "direct": {
    description: "no tunnel: the load generator connects to the target",
    start: ({ target }) => {
      const pipe = new URL("pipe.ts", import.meta.url).pathname;
      const command = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", pipe, String(target)];
      return Promise.resolve({ port: target, cold: { command } });
    },
  },
  "bare quic": {
    description: "service, relay and device that only copy, over QUIC",
    async start(context) {
      const relay = await bare(context, "quic", "relay");
      await bare(context, "quic", "device", context.target, relay);
      return await bare(context, "quic", "service", relay);
    },
  },
  "tunnel quic": {
    description: "service, relay and device over QUIC, encrypted end to end",
    start: (context) => tunnelOver(context, "quic"),
  },
  "plain quic": {
    description: "the same without the encryption end to end",
    start: (context) => tunnelOver(context, "quic", plainTunnel),
  },
  "tunnel webtransport": {
    description: "service, relay and device over WebTransport on HTTP/3, encrypted end to end",
    start: (context) => tunnelOver(context, "webtransport"),
  },
  "bare websocket": {
    description:
      "service, relay and device that only copy, a WebSocket over TLS for each connection",
    start: (context) => bareSockets(context, "websocket"),
  },
  "tunnel websocket": {
    description: "service, relay and device over WebSocket and TLS, encrypted end to end",
    start: (context) => tunnelOver(context, "websocket"),
  },
  "plain websocket": {
    description: "the same without the encryption end to end",
    start: (context) => tunnelOver(context, "websocket", plainTunnel),
  },
  "bare tls": {
    description: "service, relay and device that only copy, a TLS connection for each connection",
    start: (context) => bareSockets(context, "tls"),
  },
};

async function tunnelOver(
  { target, home, keep }: StartContext,
  transport: string,
  tunnel = usualTunnel,
): Promise<Started> {
  // A relay of its own, so that one contender's leftovers are not another's load.
  const env = { TUNNEL_HOME: home, TUNNEL_TRANSPORT: transport };
  const relay = keep("relay", tunnel(["relay", "--listen", `${HOST}:0`], { env }));
  await relay.line(/^relay ready /m);
  const device = keep(
    "device",
    tunnel(["device", "--id", "bench", "--allow", String(target)], { env }),
  );
  await device.line(/^device bench online /m);
  const args = ["connect", "bench", String(target)];
  const service = keep("service", tunnel(args, { env }));
  const port = Number(await service.line(/^listening \S+:(\d+) -> /m));
  if (tunnel !== usualTunnel) return { port };
  return { port, cold: { command: [...tunnelCommand(), ...args, "--stdio"], env } };
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
  const { root } = await developmentCertificate(home, { names: [HOST] });
  const trusted = `${home}/trusted.pem`;
  await Deno.writeTextFile(trusted, root);
  const command = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", main];
  const running = keep(
    role,
    new Running([...command, kind, role, home, ...ports.map(String)], {
      env: { DENO_CERT: trusted },
    }),
  );
  return Number(await running.line(/^ready (\d+)$/m));
}
