/** What every command works with: its options, home, log, and the way to a relay. */

import { Connector, type ConnectorOptions, type TransportMemory } from "../transports/connector.ts";
import { quic } from "../transports/quic.ts";
import { websocket } from "../transports/websocket/transport.ts";
import { webtransportTransport } from "../transports/webtransport/transport.ts";
import { openssl } from "../transports/system/openssl.ts";
import { describe, quote, TunnelError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { considerCiphers } from "../core/noise/platform_suite.ts";
import type { Limits, Transport } from "../core/transport.ts";
import { Home } from "../stores/home.ts";
import type { Options } from "./argv.ts";
import { type Level, parseLevel, stderrLog } from "./log.ts";

export { AGENT, VERSION } from "../core/version.ts";

/** In the order in which they are tried. */
export const TRANSPORTS: readonly Transport[] = [quic, websocket];
/** All that `--transport` takes: the browsers' is for who asks for it, since QUIC itself is better. */
const ALL_TRANSPORTS: readonly Transport[] = [quic, webtransportTransport(), websocket];

export interface Context {
  readonly options: Options;
  readonly home: Home;
  readonly log: Log;
  readonly env: (name: string) => string | undefined;
}

export function makeContext(options: Options, level: Level): Context {
  const env = (name: string) => Deno.env.get(name);
  const path = options.text("home");
  // Wrong words are found before anything is done with the right ones.
  parseTransport(options.text("transport"));
  return {
    options,
    env,
    home: path ? new Home(path) : Home.default(env),
    log: stderrLog(parseLevel(options.text("logLevel") ?? level)),
  };
}

/**
 * A connector as `--transport` and `--proxy` say.
 *
 * @param limits of its sessions; by default an operator's
 */
export async function makeConnector(
  { options, env, home, log }: Context,
  { root }: { root?: string },
  limits?: Limits,
): Promise<Connector> {
  considerCiphers(openssl);
  const only = parseTransport(options.text("transport"));
  const connector: ConnectorOptions = {
    transports: only === undefined ? TRANSPORTS : ALL_TRANSPORTS,
    only,
    proxy: parseProxy(options.text("proxy")),
    caCerts: root ? [root] : undefined,
    limits,
    env,
    memory: await rememberTransports(home, log),
  };
  return new Connector(connector);
}

/** The winners of a home; a note that is lost or damaged only costs the time of a race. */
async function rememberTransports(home: Home, log: Log): Promise<TransportMemory> {
  const trouble = (cause: unknown) =>
    log.debug("no memory of transports", { why: describe(cause) });
  const known = await home.transports().catch((cause) => (trouble(cause), {} as const));
  const all: Record<string, { transport: string; at: number }> = { ...known };
  return {
    get: (relay) => all[relay],
    set(relay, entry) {
      all[relay] = entry;
      home.saveTransports(all).catch(trouble);
    },
  };
}

function parseTransport(text = "auto"): string | undefined {
  if (text === "auto") return undefined;
  if (ALL_TRANSPORTS.some(({ name }) => name === text)) return text;
  throw new TunnelError("usage", {
    action: "choose the transport",
    state: `there is no transport ${quote(text)}`,
    remedy: `use auto, ${ALL_TRANSPORTS.map(({ name }) => name).join(" or ")}`,
  });
}

function parseProxy(text: string | undefined): URL | undefined {
  if (!text) return undefined;
  const whole = text.includes("://") ? text : `http://${text}`;
  if (URL.canParse(whole)) return new URL(whole);
  // The text may hold a password, so it is not repeated.
  throw new TunnelError("usage", {
    action: "read the proxy",
    state: "it is not a URL",
    remedy: "use http://USER:PASSWORD@HOST:PORT",
  });
}
