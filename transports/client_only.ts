/** Transports of runtimes in which no relay runs. */

import { TunnelError } from "../core/errors.ts";
import type { Transport } from "../core/transport.ts";

/** A `listen` that says so. */
export function clientOnly(transport: string): Transport["listen"] {
  return () =>
    Promise.reject(
      new TunnelError("unavailable", {
        action: `listen by ${transport}`,
        state: "this runtime's transport can only connect",
        remedy: "run the relay with the executable: tunnel relay",
      }),
    );
}
