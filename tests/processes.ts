/** Runs the tunnel program as a person would: processes, their lines, signals, exit codes. */

import { withDeadline } from "../core/deadline.ts";

/** Milliseconds that a process has to say what is awaited. */
const PATIENCE = 60_000;

/** The program under test: TUNNEL_BIN names an executable, otherwise it runs from source. */
export function tunnelCommand(): string[] {
  const executable = Deno.env.get("TUNNEL_BIN");
  if (executable) return [executable];
  const main = new URL("../cmd/main.ts", import.meta.url).pathname;
  return [Deno.execPath(), "run", "-A", "--quiet", "--no-check", main];
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** Leaves stdin open, for {@linkcode Running.type}. */
  readonly keepStdin?: boolean;
  /** Puts the command where it is to run, such as on one side of a link. */
  readonly within?: (command: readonly string[]) => string[];
}

/** How a finished process ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running process whose lines can be awaited. */
export class Running implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>[];
  #output = { stdout: "", stderr: "" };
  #changed = Promise.withResolvers<void>();
  #ended = false;

  constructor(command: readonly string[], options: RunOptions = {}) {
    const [program, ...args] = options.within?.(command) ?? command;
    this.#child = new Deno.Command(program!, {
      args,
      cwd: options.cwd,
      env: { NO_COLOR: "1", ...options.env },
      stdin: options.stdin === undefined && !options.keepStdin ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (options.stdin !== undefined) this.#feed(options.stdin);
    this.#read = (["stdout", "stderr"] as const).map((name) => this.#collect(name));
    Promise.all(this.#read).then(() => {
      this.#ended = true;
      this.#changed.resolve();
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  /** The groups of the first match, or the match itself; fails with all output when it never comes. */
  async line(pattern: RegExp, from: "stdout" | "stderr" = "stdout"): Promise<string> {
    const action = `await ${pattern} on ${from}`;
    try {
      return await withDeadline({ action, timeout: PATIENCE }, async () => {
        for (;;) {
          const match = this.#output[from].match(pattern);
          if (match) return match[1] ?? match[0];
          if (this.#ended) throw new Error(`${action}: the process ended without it`);
          await this.#changed.promise;
        }
      });
    } catch (cause) {
      throw new Error(`${cause}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`);
    }
  }

  /** Writes to stdin, which `keepStdin` left open. */
  async type(text: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(text));
    } finally {
      writer.releaseLock();
    }
  }

  /** Ends stdin, which `keepStdin` left open. */
  async endInput(): Promise<void> {
    await this.#child.stdin.close();
  }

  kill(signal: Deno.Signal = "SIGTERM"): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }

  /** Waits for the end. */
  async outcome(): Promise<Outcome> {
    const { code } = await this.#child.status;
    await Promise.all(this.#read);
    return { code, ...this.#output };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.outcome();
  }

  async #collect(name: "stdout" | "stderr"): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child[name]) {
      this.#output[name] += decoder.decode(chunk, { stream: true });
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }

  async #feed(text: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(text));
      await writer.close();
    } catch {
      // It ended without reading; its outcome says how.
    }
  }
}

/** Starts the tunnel program. */
export function tunnel(args: readonly string[], options?: RunOptions): Running {
  return new Running([...tunnelCommand(), ...args], options);
}

/** Runs any program to its end. */
export async function runToEnd(
  command: readonly string[],
  options?: RunOptions & { timeout?: number },
): Promise<Outcome> {
  await using running = new Running(command, options);
  const timeout = options?.timeout ?? 300_000;
  return await withDeadline({ action: `run ${command[0]}`, timeout }, () => running.outcome());
}

/** A temporary folder that goes when its user does. */
export async function tempDir(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "tunnel-test-" });
  return {
    path,
    async [Symbol.asyncDispose]() {
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** Files and sockets that a process has open. */
export async function openFiles({ pid }: Pick<Running, "pid">): Promise<number> {
  let count = 0;
  for await (const _ of Deno.readDir(`/proc/${pid}/fd`)) count++;
  return count;
}
