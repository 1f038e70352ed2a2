/** `tunnel doctor`: what of UDP, TCP, proxy and certificate works, with round-trip times. */

import { audienceOf } from "../core/identity/proof.ts";
import { describe, TunnelError } from "../core/errors.ts";
import { newInstance, signIn } from "../core/sign_in.ts";
import { Membership } from "../core/membership.ts";
import { parseRelayUrl } from "../core/names.ts";
import type { Transport } from "../core/transport.ts";
import type { Identity } from "../stores/home.ts";
import { proxyFor } from "../transports/proxy.ts";
import { probeReceiveBuffer, WANTED } from "../transports/system/receive_buffer.ts";
import { AGENT, type Context, TRANSPORTS } from "./context.ts";
import { print, stopSignal } from "./process.ts";
import { table } from "./table.ts";

/** What a check found: a mark, its name, the finding. */
type Finding = [mark: "ok" | "--" | "!!", name: string, text: string];

/** Pings whose median is the round trip. */
const PINGS = 5;

export async function doctor(context: Context): Promise<void> {
  const { home, options, env } = context;
  const stop = stopSignal();
  const identity = (await home.members.read("operator", undefined))?.value;
  const endpoint = await home.relayEndpoint();
  const url = relayOf(context, endpoint?.local ?? identity?.relay);
  const root = identity?.root ?? endpoint?.root;
  const findings: Finding[] = [
    ["ok", "home", home.path],
    identity
      ? ["ok", "identity", `operator ${identity.name}, relay ${identity.relay}`]
      : ["--", "identity", "no operator has joined with this home"],
    ["ok", "relay", `tunnel://${url.host}`],
    ["ok", "trust", root ? "the relay's own root, from the join string" : "public certificates"],
  ];
  const named = options.text("proxy");
  const proxy = proxyFor(url, { proxy: named, env });
  findings.push(
    proxy
      ? ["ok", "proxy", `${proxy.protocol}//${proxy.host}, which carries WebSocket alone`]
      : ["ok", "proxy", "none"],
  );
  findings.push(roomForDatagrams());
  const tests = TRANSPORTS.map(async (transport): Promise<Finding> => {
    const through = transport.name === "websocket" ? proxy : undefined;
    return await probe({ transport, url, root, proxy: through, identity, stop });
  });
  const results = await Promise.all(tests);
  print(table([...findings, ...results]));
  if (results.some(([mark]) => mark === "ok")) return;
  throw new TunnelError("unreachable", {
    action: `reach ${url.host}`,
    state: "no transport works",
    remedy: "see that the relay runs and that UDP or TCP to its port is let through",
  });
}

function roomForDatagrams(): Finding {
  const name = "UDP buffer";
  const room = probeReceiveBuffer();
  if (room === undefined) return ["--", name, "as this system has it; it cannot be told here"];
  const size = `${Math.floor(room / 1024)} KiB`;
  if (room >= WANTED) return ["ok", name, size];
  const remedy = `sysctl -w net.core.rmem_max=${WANTED}`;
  return ["--", name, `${size}, so QUIC is slower under load than it could be; as root: ${remedy}`];
}

async function probe({ transport, url, root, proxy, identity, stop }: {
  transport: Transport;
  url: URL;
  root: string | undefined;
  proxy: URL | undefined;
  identity: Identity | undefined;
  stop: AbortSignal;
}): Promise<Finding> {
  const name = transport.name === "quic" ? "UDP, QUIC" : "TCP, WebSocket";
  const began = performance.now();
  try {
    const caCerts = root ? [root] : undefined;
    const session = await transport.connect(url, { caCerts, proxy, signal: stop });
    const connected = ms(performance.now() - began);
    if (!identity) {
      session.close();
      await session.closed;
      return ["ok", name, `connected and certificate verified in ${connected}`];
    }
    const link = await signIn(session, {
      claim: (await Membership.of(identity)).claim(),
      audience: audienceOf(url),
      instance: newInstance(),
      agent: AGENT,
      signal: stop,
    });
    const times: number[] = [];
    for (let i = 0; i < PINGS; i++) times.push(await link.ping(stop));
    session.close();
    await session.closed;
    const median = times.sort((a, b) => a - b)[PINGS >> 1]!;
    return ["ok", name, `connected in ${connected}, signed in, round trip ${ms(median)}`];
  } catch (cause) {
    const text = cause instanceof TunnelError ? cause.message : describe(cause);
    return ["!!", name, `${text} (after ${ms(performance.now() - began)})`];
  }
}

function relayOf({ options, home }: Context, known: string | undefined): URL {
  const text = options.text("relay") ?? known;
  if (text !== undefined) return parseRelayUrl(text);
  throw new TunnelError("usage", {
    action: "find a relay to test",
    state: `${home.path} knows none`,
    remedy: "name it: --relay tunnel://HOST:PORT",
  });
}

function ms(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}
