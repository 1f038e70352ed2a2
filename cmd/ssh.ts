/** `tunnel ssh`: OpenSSH with the ProxyCommand filled in. */

import { TunnelError } from "../core/errors.ts";
import { parseDeviceId } from "../core/names.ts";
import { reasonOf } from "./connect.ts";
import type { Context } from "./context.ts";

export async function ssh(
  context: Context,
  destination: string,
  rest: readonly string[],
): Promise<void> {
  const { options, home } = context;
  const [, user, host] = destination.match(/^(?:(.*)@)?([^@]*)$/) ?? [];
  const id = parseDeviceId(host ?? "");
  const port = options.text("port") ?? "22";
  const proxy = [...ownCommand(), "connect", id, port, "--stdio"].map(quote).join(" ");
  // By the environment and not as arguments: a proxy's password must not show in `ps`.
  const env: Record<string, string> = { TUNNEL_HOME: home.path };
  const reason = reasonOf(context);
  if (reason !== undefined) env.TUNNEL_REASON = reason;
  for (const name of ["transport", "proxy"]) {
    const value = options.text(name);
    if (value !== undefined) env[`TUNNEL_${name.toUpperCase()}`] = value;
  }
  const args = ["-o", `ProxyCommand=${proxy.replaceAll("%", "%%")}`];
  if (user) args.push("-l", user);
  // ssh hears of an interrupt by its terminal, and decides what it means.
  Deno.addSignalListener("SIGINT", () => {});
  try {
    const child = new Deno.Command("ssh", { args: [...args, id, ...rest], env }).spawn();
    const { code } = await child.status;
    Deno.exit(code);
  } catch (cause) {
    throw new TunnelError("unavailable", {
      action: "start ssh",
      state: "there is no ssh program in PATH",
      remedy: `install OpenSSH, or use \`tunnel connect ${id} ${port}\` with another client`,
      cause,
    });
  }
}

/** How this very program is run again. */
function ownCommand(): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "-A", "--quiet", new URL("./main.ts", import.meta.url).pathname];
}

/** For the shell that runs a ProxyCommand. */
function quote(word: string): string {
  if (/^[A-Za-z0-9_./:=-]+$/.test(word)) return word;
  return Deno.build.os === "windows" ? `"${word}"` : `'${word.replaceAll("'", `'\\''`)}'`;
}
