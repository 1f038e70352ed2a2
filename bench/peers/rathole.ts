/** rathole: a server in the relay's place and a client at the device. It has nothing for operators. */

import { Running, runToEnd } from "../../tests/processes.ts";
import type { Recipe, StartContext } from "../recipe.ts";
import { freePort, HOST, peerKeys, peerPath, untilEcho } from "./peer.ts";

/** Its defaults, `nodelay` among them; a transport must be chosen, as its default encrypts nothing. */
export function rathole(transport: "tls" | "noise"): Recipe {
  const how = transport === "tls" ? "TLS" : "Noise NK";
  return {
    description:
      `rathole over ${how}: its server offers the target to the operator unencrypted, so that one hop and one process are fewer than for the others`,
    programs: transport === "tls" ? ["rathole", "openssl"] : ["rathole"],
    version: ["rathole", "--version"],
    start: (context) => start(transport, context),
  };
}

interface Settings {
  readonly server: string;
  readonly client: string;
}

async function start(
  transport: "tls" | "noise",
  { target, home, keep }: StartContext,
): Promise<number> {
  const settings = await SETTINGS[transport](home);
  const [server, port] = [freePort(), freePort()];
  const token = crypto.randomUUID();
  const run = async (role: string, side: string, text: string) => {
    const path = `${home}/${role}.toml`;
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    return keep(role, new Running([peerPath("rathole"), `--${side}`, path]));
  };
  const relay = await run(
    "relay",
    "server",
    `[server]
bind_addr = "${HOST}:${server}"
[server.transport]
type = "${transport}"
[server.transport.${transport}]
${settings.server}
[server.services.target]
token = "${token}"
bind_addr = "${HOST}:${port}"
`,
  );
  const device = await run(
    "device",
    "client",
    `[client]
remote_addr = "${HOST}:${server}"
[client.transport]
type = "${transport}"
[client.transport.${transport}]
${settings.client}
[client.services.target]
token = "${token}"
local_addr = "${HOST}:${target}"
`,
  );
  await untilEcho(port, relay, device);
  return port;
}

const SETTINGS = {
  async tls(home: string): Promise<Settings> {
    const { cert, key, root } = await peerKeys(home);
    const store = `${home}/identity.pfx`;
    const password = crypto.randomUUID();
    await run(
      [peerPath("openssl"), "pkcs12", "-export", "-out", store, "-in", cert, "-inkey", key]
        .concat("-passout", "env:PASSWORD"),
      { PASSWORD: password },
    );
    return {
      server: `pkcs12 = "${store}"\npkcs12_password = "${password}"`,
      client: `trusted_root = "${root}"`,
    };
  },

  async noise(): Promise<Settings> {
    const said = await run([peerPath("rathole"), "--genkey"]);
    const [, secret, open] = said.match(/Private Key:\s+(\S+)\s+Public Key:\s+(\S+)/) ?? [];
    if (!secret || !open) throw new Error("make keys with rathole: it said none");
    return {
      server: `local_private_key = "${secret}"`,
      client: `remote_public_key = "${open}"`,
    };
  },
};

async function run(command: readonly string[], env?: Record<string, string>): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(command, { env });
  if (code !== 0) throw new Error(`run ${command[0]}: it ended with code ${code}: ${stderr}`);
  return stdout;
}
