/** A process and all that it has started, by /proc: on a system without one it is alone. */

import { delay, withDeadline } from "../core/deadline.ts";
import type { Running } from "../tests/processes.ts";

/** Milliseconds that killed processes have to go. */
const PATIENCE = 10_000;

/** The process and its descendants that live, itself first. */
export function family(pid: number): number[] {
  const all = [pid];
  for (let at = 0; at < all.length; at++) all.push(...children(all[at]!));
  return all;
}

/** Ends a process and its descendants, such as the sessions of a server, when it is disposed of. */
export function keepFamily(running: Running): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      // Before the kill: afterwards they are nobody's children.
      const descendants = family(running.pid).slice(1);
      running.kill("SIGKILL");
      for (const pid of descendants) kill(pid);
      // Only now: it waits for the end of the output, which they have inherited.
      await running[Symbol.asyncDispose]();
      const action = `end processes ${descendants.join(", ")}`;
      await withDeadline({ action, timeout: PATIENCE }, async (signal) => {
        // There is no event for the end of a process that is not one's own child.
        while (!signal.aborted && descendants.some(isRunning)) await delay(10, signal);
      });
    },
  };
}

/** Whether it runs: one that has ended and was not waited for does not. */
export function isRunning(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat !== undefined && !/\) [ZX] /.test(stat);
}

/** A file of /proc; undefined when the process has gone, or the system has none. */
export function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    // A process that ends between opening and reading is ESRCH, which is a plain Error.
    if (error instanceof Deno.errors.NotFound || /os error 3\b/.test(String(error))) {
      return undefined;
    }
    throw error;
  }
}

function children(pid: number): number[] {
  const found: number[] = [];
  for (const thread of threads(pid)) {
    const list = read(`/proc/${pid}/task/${thread}/children`) ?? "";
    found.push(...list.split(" ").filter(Boolean).map(Number));
  }
  return found;
}

function threads(pid: number): string[] {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || /os error 3\b/.test(String(error))) return [];
    throw error;
  }
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !/os error 3\b/.test(String(error))) {
      throw error;
    }
  }
}
