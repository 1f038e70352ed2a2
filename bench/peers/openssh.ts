/** OpenSSH: one sshd in the relay's place, `ssh -R` at the device, `ssh -L` at the operator. */

import { userInfo } from "node:os";
import { Running, runToEnd } from "../../tests/processes.ts";
import type { Recipe, StartContext } from "../recipe.ts";
import { freePort, HOST, peerPath, untilEcho } from "./peer.ts";

/** Ciphers, windows and multiplexing are OpenSSH's defaults; compression is off, as by default. */
export const openssh: Recipe = {
  description: "OpenSSH, `-R` with `-L` through one sshd: encrypted on each hop, with its defaults",
  programs: ["sshd", "ssh", "ssh-keygen"],
  version: ["ssh", "-V"],
  start,
};

async function start({ target, home, keep }: StartContext): Promise<number> {
  const server = freePort();
  await writeSettings(home, server);
  const relay = keep(
    "relay",
    new Running([peerPath("sshd"), "-D", "-e", "-f", `${home}/sshd_config`]),
  );
  await relay.line(/Server listening on/, "stderr");
  const ssh = (...forward: string[]) =>
    new Running([peerPath("ssh"), "-F", `${home}/ssh_config`, "-N", ...forward, "server"]);
  const device = keep("device", ssh("-R", `${HOST}:0:${HOST}:${target}`));
  const reverse = await device.line(/Allocated port (\d+) for remote forward/, "stderr");
  const port = freePort();
  const service = keep("service", ssh("-L", `${HOST}:${port}:${HOST}:${reverse}`));
  await untilEcho(port, relay, device, service);
  return port;
}

/** Keys and settings of its own, so that those of the machine's user are neither used nor changed. */
async function writeSettings(home: string, port: number): Promise<void> {
  for (const key of ["host", "client"]) {
    const { code, stderr } = await runToEnd(
      [peerPath("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", `${home}/${key}`],
    );
    if (code !== 0) throw new Error(`make an SSH key: ssh-keygen ended with ${code}: ${stderr}`);
  }
  const host = await Deno.readTextFile(`${home}/host.pub`);
  await Deno.writeTextFile(`${home}/known_hosts`, `[${HOST}]:${port} ${host}`);
  await Deno.writeTextFile(
    `${home}/sshd_config`,
    `ListenAddress ${HOST}
Port ${port}
HostKey ${home}/host
AuthorizedKeysFile ${home}/client.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
AllowTcpForwarding yes
`,
  );
  await Deno.writeTextFile(
    `${home}/ssh_config`,
    `Host server
  HostName ${HOST}
  Port ${port}
  User ${userInfo().username}
  IdentityFile ${home}/client
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${home}/known_hosts
  BatchMode yes
  ExitOnForwardFailure yes
`,
  );
  // Privilege separation wants its folder, which a fresh container lacks; sshd says so if it must.
  await Deno.mkdir("/run/sshd", { recursive: true }).catch(() => {});
}
