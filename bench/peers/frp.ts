/** frp: frps in the relay's place, a frpc that offers the target by stcp, a frpc that visits it. */

import { Running } from "../../tests/processes.ts";
import type { Recipe, StartContext } from "../recipe.ts";
import { freePort, HOST, peerKeys, peerPath, untilEcho } from "./peer.ts";

/**
 * frp's names for what carries it. For wss it is "websocket" with TLS within: frps does not end the
 * TLS of its protocol "wss" itself, but wants a proxy before it to do so, which would be a hop more.
 */
const PROTOCOLS = { tcp: "tcp", quic: "quic", wss: "websocket" } as const;

/**
 * TLS is its default and made compulsory here, with a certificate that clients check. Multiplexing
 * over one connection is its default; `useEncryption`, a second cipher within TLS, and `poolCount`
 * are off, as by default.
 */
export function frp(over: keyof typeof PROTOCOLS): Recipe {
  const how = over === "wss"
    ? "WebSocket with TLS within"
    : over === "tcp"
    ? "TCP with TLS"
    : "QUIC";
  return {
    description:
      `frp over ${how}, stcp with a visitor at the operator: encrypted on each hop, otherwise its defaults`,
    programs: ["frps", "frpc"],
    version: ["frps", "--version"],
    start: (context) => start(PROTOCOLS[over], context),
  };
}

async function start(protocol: string, { target, home, keep }: StartContext): Promise<number> {
  const keys = await peerKeys(home);
  const [server, port] = [freePort(), freePort()];
  const token = crypto.randomUUID();
  const run = async (role: string, program: string, settings: string) => {
    const path = `${home}/${role}.toml`;
    await Deno.writeTextFile(path, settings, { mode: 0o600 });
    return keep(role, new Running([peerPath(program), "-c", path]));
  };
  const relay = await run(
    "relay",
    "frps",
    `bindAddr = "${HOST}"
bindPort = ${server}
${protocol === "quic" ? `quicBindPort = ${server}` : ""}
auth.token = "${token}"
transport.tls.force = true
transport.tls.certFile = "${keys.cert}"
transport.tls.keyFile = "${keys.key}"
`,
  );
  await relay.line(/frps started successfully/);
  const client = `serverAddr = "${HOST}"
serverPort = ${server}
auth.token = "${token}"
transport.protocol = "${protocol}"
transport.tls.enable = true
transport.tls.trustedCaFile = "${keys.root}"
`;
  const device = await run(
    "device",
    "frpc",
    `${client}
[[proxies]]
name = "target"
type = "stcp"
secretKey = "${token}"
localIP = "${HOST}"
localPort = ${target}
`,
  );
  await device.line(/start proxy success/);
  const service = await run(
    "service",
    "frpc",
    `${client}
[[visitors]]
name = "visitor"
type = "stcp"
serverName = "target"
secretKey = "${token}"
bindAddr = "${HOST}"
bindPort = ${port}
`,
  );
  await service.line(/start visitor success/);
  await untilEcho(port, relay, device, service);
  return port;
}
