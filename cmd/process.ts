/** What a command needs of its process: signals, standard streams, the way out. */

import type { Duplex } from "../core/duplex.ts";
import { describe, TunnelError } from "../core/errors.ts";

/** Fires on SIGINT and SIGTERM (and SIGHUP where there is one); a second one ends the process. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) {
    Deno.addSignalListener(signal, () => {
      if (controller.signal.aborted) Deno.exit(130);
      controller.abort(new TunnelError("aborted", { action: "run", state: `${signal} came` }));
    });
  }
  return controller.signal;
}

/** Prints a line on stdout. */
export function print(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

/** Stdin and stdout as one connection. */
export function stdioDuplex(): Duplex {
  const buffer = new Uint8Array(64 * 1024);
  const over = Promise.withResolvers<never>();
  over.promise.catch(() => {}); // Met by whoever reads.
  return {
    async read() {
      // A read of stdin cannot be cancelled: one that is pending goes with the process.
      const reading = Deno.stdin.read(buffer).catch(standardStream);
      const count = await Promise.race([reading, over.promise]);
      return count === null ? null : buffer.subarray(0, count);
    },
    async write(bytes) {
      for (let at = 0; at < bytes.length;) {
        at += await Deno.stdout.write(bytes.subarray(at)).catch(standardStream);
      }
    },
    closeWrite() {
      Deno.stdout.close();
      return Promise.resolve();
    },
    reset(error) {
      over.reject(error);
    },
  };
}

function standardStream(cause: unknown): never {
  throw new TunnelError("reset", {
    action: "use stdin and stdout",
    state: describe(cause),
    cause,
  });
}
