/** `tunnel relay`: the meeting point, UDP and TCP on one port. */

import { describe, TunnelError } from "../core/errors.ts";
import { type Authority, Verifier } from "../core/identity/credential.ts";
import type { PublicJwk } from "../core/identity/keys.ts";
import { Metrics } from "../core/metrics.ts";
import { parseDuration, parseRelayUrl } from "../core/names.ts";
import { Relay } from "../core/relay/relay.ts";
import { type Limits, type Listener, type ListenOptions, RELAY_LIMITS } from "../core/transport.ts";
import { matchesName } from "../stores/certificate.ts";
import { portOf } from "../transports/address.ts";
import { probeReceiveBuffer, WANTED } from "../transports/system/receive_buffer.ts";
import { quicProtocol } from "../transports/quic.ts";
import { listenQuic } from "../transports/quic_endpoint.ts";
import { type RequestHandler, websocketTransport } from "../transports/websocket/transport.ts";
import { webtransportProtocol } from "../transports/webtransport/transport.ts";
import { findCertificate, isWildcard } from "./certificate.ts";
import { Console } from "./console.ts";
import { AGENT, type Context, VERSION } from "./context.ts";
import { readAuthority } from "./input.ts";
import { type ChosenLimits, listLimits, parseLimits } from "./limits.ts";
import { shortageWarning } from "./log.ts";
import { observeProcess, serveMetrics } from "./metrics.ts";
import { isOwnOrigin, parseOrigin } from "./origins.ts";
import { parseListen } from "./parse.ts";
import { print, stopSignal } from "./process.ts";
import { keepPruned } from "./retention.ts";

const DEFAULT_PORT = 443;
/** Where port 443 may not be bound. */
const FALLBACK_PORT = 4433;
/** Tries at finding one number that is free for both UDP and TCP. */
const PORT_TRIES = 16;

export async function relay(context: Context): Promise<void> {
  const { options, home, log } = context;
  if (options.flag("limits")) return print(listLimits());
  const limits = parseLimits(options.list("limit"));
  const metricsText = options.text("metrics");
  const metricsAddress = metricsText ? parseListen(metricsText, "127.0.0.1") : undefined;
  const asked = options.text("listen");
  const address = parseListen(asked ?? String(DEFAULT_PORT), "0.0.0.0");
  const publicText = options.text("public");
  const named = publicText === undefined ? undefined : parseRelayUrl(publicText);
  const validity = {
    device: parseDuration(options.text("deviceValidity") ?? "30d"),
    operator: parseDuration(options.text("operatorValidity") ?? "12h"),
  };
  const hostname = named?.hostname.replace(/^\[|\]$/g, "") ?? publicHost(address.hostname);
  const retention = options.text("auditRetention");
  const keep = retention === undefined ? undefined : parseDuration(retention);
  const origins = (options.list("allowOrigin") ?? []).map(parseOrigin);
  const certificate = await findCertificate(context, [hostname, address.hostname]);
  const stop = stopSignal();
  const { authority, publicJwk } = await findAuthority(context);
  await using store = await home.openStore();
  const metrics = new Metrics();
  observeProcess(metrics, VERSION);
  await using shown = metricsAddress ? serveMetrics(metrics, metricsAddress) : undefined;
  if (shown) log.info("metrics are served", { url: shown.url });
  const isOwnHost = (host: string) => host === hostname || matchesName(certificate.names, host);
  const allowsOrigin = (origin: string) =>
    origins.includes(origin) || isOwnOrigin(origin, { isOwnHost, ports: [portOf(url), port] });
  const binding = {
    ...address,
    ...certificate.current,
    limits: sessionLimits(limits),
    onShortage: shortageWarning(log),
  };
  const page = options.flag("console") ? new Console({ relay: () => url.host, log }) : undefined;
  const onRequest: RequestHandler = async (request) =>
    (request.target.startsWith("/.well-known/") ? undefined : await page?.answer(request)) ??
      certificate.answer(request);
  const serves: Services = { allowsOrigin, onRequest };
  const listeners = await bind(context, binding, serves, asked === undefined);
  const { port } = listeners[0]!.address;
  const url = named ?? relayUrl(hostname, port);
  const relay = new Relay({
    store,
    authority,
    validity,
    verifier: new Verifier(publicJwk),
    isOwnAddress(address) {
      const dialled = `tunnel://${address}`;
      if (!URL.canParse(dialled)) return false;
      return isOwnHost(new URL(dialled).hostname.replace(/^\[|\]$/g, ""));
    },
    agent: AGENT,
    now: Date.now,
    log,
    limits,
    streams: binding.limits.streams,
    metrics,
  });
  const local = relayUrl(isWildcard(address.hostname) ? "127.0.0.1" : address.hostname, port);
  await home.saveRelayEndpoint({
    url: text(url),
    local: text(local),
    root: certificate.root,
    authority: authority ? undefined : publicJwk,
  });
  const serving = listeners.map((listener) => relay.serve(listener));
  const ending = new AbortController();
  const renewing = certificate.keepRenewed(listeners, ending.signal);
  const pruning = keep && keepPruned(store, { keep }, context, ending.signal);
  tellRoom(context);
  log.info("listening", { address: address.hostname, port, protocols: "udp,tcp" });
  print(`relay ready ${text(url)}`);
  const stopped = new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    stop.addEventListener("abort", () => resolve());
  });
  try {
    await Promise.race([stopped, Promise.all(serving)]);
  } finally {
    log.info("shutting down", { why: stop.aborted ? describe(stop.reason) : "a listener ended" });
    await Promise.all(listeners.map((listener) => listener.close()));
    await relay.close();
    ending.abort();
    await Promise.all([pruning, renewing]);
  }
}

/** What comes beyond that is lost, and every tunnel through here slows down. */
function tellRoom({ log }: Context): void {
  const room = probeReceiveBuffer();
  if (room === undefined || room >= WANTED) return;
  const keeps = `${Math.floor(room / 1024)} KiB`;
  const remedy = `sysctl -w net.core.rmem_max=${WANTED}`;
  log.info("this machine keeps few datagrams for a busy relay", { keeps, do: remedy });
}

/** The authority of this home, or with `--authority` the public key of one that is elsewhere. */
async function findAuthority(
  { options, home, log }: Context,
): Promise<{ authority?: Authority; publicJwk: PublicJwk }> {
  const given = options.text("authority");
  if (given === undefined) {
    const authority = await home.makeAuthority();
    return { authority, publicJwk: authority.publicJwk };
  }
  const publicJwk = await readAuthority(given);
  if (await home.authority()) {
    log.warn("this home holds an authority's private key, which the relay does not use", {
      do: "move relay/authority.jwk to the machine of the authority",
    });
  }
  return { publicJwk };
}

interface Services {
  readonly allowsOrigin: (origin: string) => boolean;
  readonly onRequest: RequestHandler;
}

/** UDP and TCP on one number. */
async function bind(
  { log }: Pick<Context, "log">,
  options: ListenOptions,
  services: Services,
  mayFallBack: boolean,
): Promise<Listener[]> {
  const { port } = options;
  const websocket = websocketTransport(services);
  const protocols = [quicProtocol, webtransportProtocol(services)] as const;
  for (let tries = 1;; tries++) {
    const tcp = await websocket.listen(options).catch((error: unknown) => {
      if (!mayFallBack || !isForbidden(error)) throw error;
    });
    if (!tcp) {
      log.warn("this user may not bind port 443", { instead: FALLBACK_PORT });
      return await bind({ log }, { ...options, port: FALLBACK_PORT }, services, false);
    }
    try {
      return [tcp, listenQuic({ ...options, port: tcp.address.port }, protocols)];
    } catch (error) {
      await tcp.close();
      // A free TCP port need not be a free UDP port: another one may be both.
      if (port !== 0 || tries === PORT_TRIES) throw error;
    }
  }
}

function sessionLimits({ streams = RELAY_LIMITS.streams }: ChosenLimits): Limits {
  return { ...RELAY_LIMITS, streams };
}

function isForbidden(error: unknown): boolean {
  return error instanceof TunnelError && error.cause instanceof Deno.errors.PermissionDenied;
}

/** The address under which others likely reach this machine. */
function publicHost(listen: string): string {
  if (!isWildcard(listen)) return listen;
  const outside = Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !address.startsWith("127.")
  );
  return outside?.address ?? "127.0.0.1";
}

function relayUrl(hostname: string, port: number): URL {
  return parseRelayUrl(`tunnel://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`);
}

function text(url: URL): string {
  return `tunnel://${url.host}`;
}
