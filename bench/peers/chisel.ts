/** chisel: a server with `--reverse`, a client that offers the target, one that forwards to it. */

import { Running } from "../../tests/processes.ts";
import type { Recipe, StartContext } from "../recipe.ts";
import { freePort, HOST, peerKeys, peerPath, untilEcho } from "./peer.ts";

/** TLS is added to its defaults, and clients check the server's certificate and its fingerprint. */
export const chisel: Recipe = {
  description:
    "chisel over WebSocket with TLS, `R:` at the device and a forward at the operator: SSH within TLS on each hop, otherwise its defaults",
  programs: ["chisel"],
  version: ["chisel", "--version"],
  start,
};

async function start({ target, home, keep }: StartContext): Promise<number> {
  const program = peerPath("chisel");
  const keys = await peerKeys(home);
  const [server, reverse, port] = [freePort(), freePort(), freePort()];
  const relay = keep(
    "relay",
    new Running([
      ...[program, "server", "--host", HOST, "--port", `${server}`, "--reverse"],
      ...["--tls-cert", keys.cert, "--tls-key", keys.key],
    ]),
  );
  const fingerprint = await relay.line(/Fingerprint (\S+)/, "stderr");
  await relay.line(/Listening on/, "stderr");
  const client = async (role: string, remote: string) => {
    const running = keep(
      role,
      new Running([
        ...[program, "client", "--fingerprint", fingerprint, "--tls-ca", keys.root],
        ...[`https://${HOST}:${server}`, remote],
      ]),
    );
    await running.line(/client: Connected/, "stderr");
    return running;
  };
  const device = await client("device", `R:${HOST}:${reverse}:${HOST}:${target}`);
  const service = await client("service", `${HOST}:${port}:${HOST}:${reverse}`);
  await untilEcho(port, relay, device, service);
  return port;
}
