/** The process that carries a link's packets, and the namespaces that live as long as it does. */

import { withDeadline } from "../../core/deadline.ts";
import { toTunnelError, TunnelError } from "../../core/errors.ts";
import { Running, runToEnd } from "../../tests/processes.ts";
import { find } from "../../tests/require.ts";
import { DEVICE } from "./namespace.ts";

/** Milliseconds for a process that has nothing left to do. */
const PATIENCE = 20_000;

/**
 * Makes the namespaces, runs linkem, removes them. linkem ends with its standard input, a pipe from
 * here, so that nothing is left even when this process is killed; Ctrl-C must not end the shell
 * before it has removed them.
 */
const HOLD = `
near=$1 far=$2; shift 2
trap '' INT TERM HUP
"$IP" netns add "$near" && "$IP" netns add "$far" && "$@"
code=$?
for name in "$near" "$far"; do
  [ ! -e "/var/run/netns/$name" ] || "$IP" netns delete "$name" || code=1
done
exit $code`;

const SIGNALS = { "blackout": "SIGUSR1", "udp-block": "SIGUSR2" } as const;

/** What linkem can be told to do. */
export type Fault = keyof typeof SIGNALS;

/** A running linkem between two namespaces of its own. */
export class Linkem {
  /** Of linkem itself, not of the shell around it. */
  readonly pid: number;
  readonly #shell: Running;
  readonly #on = new Set<Fault>();
  #changes = 0;
  #turn: Promise<void> = Promise.resolve();
  #end: Promise<string> | undefined;

  private constructor(shell: Running, pid: number) {
    this.#shell = shell;
    this.pid = pid;
  }

  /** Settles when both namespaces have their device. */
  static async start(near: string, far: string, flags: readonly string[]): Promise<Linkem> {
    const linkem = [await build(), ...flags, `${near}/${DEVICE}`, `${far}/${DEVICE}`];
    const shell = new Running(["sh", "-c", HOLD, "sh", near, far, ...linkem], {
      env: { IP: find("ip")! },
      keepStdin: true,
    });
    try {
      return new Linkem(shell, Number(await shell.line(/^ready (\d+)$/m)));
    } catch (error) {
      await finish(shell);
      throw toTunnelError(error, "start linkem", "unavailable");
    }
  }

  /** Settles when linkem says that it is so; calls take effect in their order. */
  set(fault: Fault, on: boolean): Promise<void> {
    // One at a time, because a signal that is pending swallows the next of its kind.
    return this.#turn = this.#turn.then(async () => {
      if (this.#on.has(fault) === on) return;
      if (this.#end) {
        throw new TunnelError("closed", { action: `switch ${fault}`, state: "the link has ended" });
      }
      Deno.kill(this.pid, SIGNALS[fault]);
      const answer = `${++this.#changes} ${fault} ${on ? "on" : "off"}`;
      await this.#shell.line(new RegExp(`^${answer}$`, "m"));
      if (on) this.#on.add(fault);
      else this.#on.delete(fault);
    });
  }

  /** Ends linkem and removes the namespaces, once; what it printed on stderr. */
  end(): Promise<string> {
    return this.#end ??= (async () => {
      try {
        Deno.kill(this.pid, "SIGTERM");
      } catch (error) {
        // It has ended by itself, and the shell says how.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      return await finish(this.#shell);
    })();
  }
}

/** What a shell that is about to end printed on stderr. @throws {TunnelError} when it failed */
async function finish(shell: Running): Promise<string> {
  const action = "run linkem";
  const { code, stderr } = await withDeadline(
    { action, timeout: PATIENCE },
    () => shell.outcome(),
  );
  if (code === 0) return stderr;
  throw new TunnelError(code === 2 ? "usage" : "unavailable", {
    action,
    state: stderr.trim() || `it ended with code ${code}`,
  });
}

let built: Promise<string> | undefined;

/** The path of linkem, compiled once a process into a folder that goes with the process. */
function build(): Promise<string> {
  return built ??= (async () => {
    const source = new URL("linkem.c", import.meta.url).pathname;
    const dir = await Deno.makeTempDir({ prefix: "tunnel-link-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
    const program = `${dir}/linkem`;
    const options = ["-O2", "-Wall", "-Wextra", "-std=gnu11", "-o", program, source];
    const { code, stderr } = await runToEnd([find("cc")!, ...options]);
    if (code === 0) return program;
    throw new TunnelError("unavailable", {
      action: "compile linkem.c",
      state: stderr,
      remedy: "install a C compiler with the headers of libc and Linux",
    });
  })();
}
