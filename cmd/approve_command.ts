/** `--approve-command`: a program of the device's owner that is asked about every new dial. */

import type { ApprovalOptions } from "../core/approval.ts";
import { delay } from "../core/deadline.ts";
import { describe, TunnelError } from "../core/errors.ts";

/** Bytes of the command's output that are looked at. */
const MAX_OUTPUT = 4 * 1024;
/** Characters of its first line that the operator is shown. */
const MAX_SHOWN = 200;
/** Milliseconds for the last of its output once it has ended: what it started may keep that open. */
const LAST_WORDS = 1_000;
/** What this program may be given in confidence, and the command has no use for. */
const SECRETS = ["TUNNEL_JOIN", "TUNNEL_PROXY"];

/**
 * Runs a command by the system's shell, with the dial as a line of JSON on stdin. Exit code 0
 * approves; anything else refuses, with the first line of its stdout as the reason. It is killed
 * when the signal fires, with all that it has started.
 */
export function askCommand(command: string): ApprovalOptions["ask"] {
  return async ({ device, offer }, signal) => {
    const { operator, host, port, reason } = offer;
    const child = start(command);
    const kill = () => killAll(child);
    signal.addEventListener("abort", kill, { once: true });
    if (signal.aborted) kill();
    const output = child.stdout.getReader();
    try {
      const line = firstLine(output);
      tell(child, { device, operator, host, port, reason });
      const { success, code } = await child.status;
      if (success) return undefined;
      const late = new AbortController();
      const said = await Promise.race([line, delay(LAST_WORDS, late.signal)]);
      late.abort();
      throw refused(said ? describe(said) : `the device's approval command said no (exit ${code})`);
    } finally {
      signal.removeEventListener("abort", kill);
      output.cancel().catch(() => {}); // It has ended, and what it said with it.
    }
  };
}

function start(command: string): Deno.ChildProcess {
  const isWindows = Deno.build.os === "windows";
  const env = Deno.env.toObject();
  for (const name of SECRETS) delete env[name];
  const [shell, args] = isWindows
    ? ["cmd", ["/d", "/s", "/c", `"${command}"`]]
    : ["/bin/sh", ["-c", command]];
  try {
    return new Deno.Command(shell as string, {
      args: args as string[],
      windowsRawArguments: true,
      env,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
      // A group of its own, which can be killed as one.
      detached: !isWindows,
    }).spawn();
  } catch (cause) {
    throw refused("the device could not run its approval command", cause);
  }
}

function killAll(child: Deno.ChildProcess): void {
  try {
    if (Deno.build.os === "windows") child.kill("SIGKILL");
    else Deno.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

async function tell(child: Deno.ChildProcess, question: unknown): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
    await writer.close();
  } catch {
    // It decides without reading, as it may.
  }
}

/** The first line of what comes; the rest is read and dropped, so that nobody waits to be read. */
async function firstLine(output: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  const line = Promise.withResolvers<string>();
  let text = "";
  const read = async () => {
    for (let bytes = 0;;) {
      const { value, done } = await output.read();
      if (done) break;
      if (bytes >= MAX_OUTPUT) continue;
      bytes += value.length;
      text += decoder.decode(value, { stream: true });
      if (text.includes("\n") || bytes >= MAX_OUTPUT) line.resolve(text);
    }
    line.resolve(text);
  };
  read().catch(() => line.resolve(text)); // It was killed: what it has said is all.
  return (await line.promise).split("\n")[0]!.trim().slice(0, MAX_SHOWN);
}

function refused(state: string, cause?: unknown): TunnelError {
  return new TunnelError("refused", { action: "ask about the dial", state, cause });
}
