/** A real OpenSSH server for one test run, and the client options to reach it. */

import { delay, withDeadline } from "../core/deadline.ts";
import { find } from "./require.ts";
import { Running, type RunOptions, runToEnd } from "./processes.ts";

export interface SshServer extends AsyncDisposable {
  readonly port: number;
  /** Options for ssh, scp, sftp: the key, and no questions. */
  readonly options: readonly string[];
  readonly user: string;
}

export interface SshServerOptions extends Pick<RunOptions, "within"> {
  /** IPv4; default 127.0.0.1. */
  readonly address?: string;
  /** What every login runs in place of the user's shell, whose start is this machine's own. */
  readonly shell?: string;
  /** Takes the process before it is waited for, and ends it. */
  readonly keep?: (server: Running) => Running;
}

/** Starts sshd on a free port with keys of its own in `dir`. */
export async function startSshServer(
  dir: string,
  { within, address = "127.0.0.1", shell, keep = (server) => server }: SshServerOptions = {},
): Promise<SshServer> {
  for (const key of ["host", "client"]) {
    await runToEnd(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${dir}/${key}`]);
  }
  const port = freePort();
  await Deno.writeTextFile(
    `${dir}/sshd_config`,
    `ListenAddress ${address}
Port ${port}
HostKey ${dir}/host
AuthorizedKeysFile ${dir}/client.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
AllowTcpForwarding yes
Subsystem sftp internal-sftp
PrintMotd no
PrintLastLog no
${shell ? `ForceCommand ${shell}\n` : ""}`,
  );
  // Privilege separation wants its folder, which a fresh container lacks.
  await Deno.mkdir("/run/sshd", { recursive: true }).catch(() => {});
  const command = [find("sshd")!, "-D", "-e", "-f", `${dir}/sshd_config`];
  const server = keep(new Running(command, { within }));
  await server.line(/Server listening on/, "stderr");
  const options = [
    ["IdentityFile", `${dir}/client`],
    ["IdentitiesOnly", "yes"],
    ["StrictHostKeyChecking", "accept-new"],
    ["UserKnownHostsFile", `${dir}/known_hosts`],
    ["LogLevel", "ERROR"],
    ["BatchMode", "yes"],
  ].flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return {
    port,
    options,
    user: Deno.env.get("USER") ?? "root",
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A TCP port of 127.0.0.1 that was free a moment ago, for programs that cannot pick one. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Waits until something accepts connections on a port of 127.0.0.1. */
export async function untilListening(port: number): Promise<void> {
  await withDeadline({ action: `wait for port ${port}`, timeout: 20_000 }, async (signal) => {
    while (!signal.aborted) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return;
      } catch {
        await delay(50, signal); // Not yet: there is no event to await for another program's port.
      }
    }
  });
}
