/** wstunnel: a server on WSS, a client with `-R` at the device, one with `-L` at the operator. */

import { Running } from "../../tests/processes.ts";
import type { Recipe, StartContext } from "../recipe.ts";
import { freePort, HOST, peerKeys, peerPath, untilEcho } from "./peer.ts";

/**
 * Its defaults, except that clients check the certificate and that only warnings are logged: it
 * writes a line for each connection otherwise. It opens a WebSocket for each connection, and keeps
 * none in store by default.
 */
export const wstunnel: Recipe = {
  description:
    "wstunnel over WSS, `-R` at the device and `-L` at the operator: encrypted on each hop, otherwise its defaults",
  programs: ["wstunnel"],
  version: ["wstunnel", "--version"],
  start,
};

/** It takes NO_COLOR for a boolean and ends when it is another word, such as the usual 1. */
const env = { NO_COLOR: "true" };

async function start({ target, home, keep }: StartContext): Promise<number> {
  const program = peerPath("wstunnel");
  const keys = await peerKeys(home);
  const [server, reverse, port] = [freePort(), freePort(), freePort()];
  const url = `wss://${HOST}:${server}`;
  const quiet = ["--log-lvl", "WARN"];
  const relay = keep(
    "relay",
    new Running([
      ...[program, "server", ...quiet],
      ...["--tls-certificate", keys.cert, "--tls-private-key", keys.key, url],
    ], { env }),
  );
  const client = (role: string, ...tunnel: string[]) =>
    keep(
      role,
      new Running([program, "client", ...quiet, "--tls-verify-certificate", ...tunnel, url], {
        env: { ...env, SSL_CERT_FILE: keys.root },
      }),
    );
  const device = client("device", "-R", `tcp://${HOST}:${reverse}:${HOST}:${target}`);
  const service = client("service", "-L", `tcp://${HOST}:${port}:${HOST}:${reverse}`);
  await untilEcho(port, relay, device, service);
  return port;
}
