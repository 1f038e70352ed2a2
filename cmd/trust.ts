/** Devices' keys as this home has seen them: shown with --verbose, held to with --pin. */

import { TunnelError } from "../core/errors.ts";
import type { AgreementJwk } from "../core/identity/keys.ts";
import { fingerprint } from "../core/identity/keys.ts";
import type { Context } from "./context.ts";

/** What a service asks of a device's key, once its fleet's authority has vouched for it. */
export function trustKeys(
  { options, home }: Context,
): (device: string, key: AgreementJwk) => Promise<void> {
  const [verbose, pin] = [options.flag("verbose"), options.flag("pin")];
  return async (device, key) => {
    const print = await fingerprint(key);
    // On stderr: stdout is the program's, or the connection itself.
    if (verbose) console.error(`device ${device} has the key ${print}`);
    if (!pin) return;
    const pinned = await home.pin(device, print);
    if (pinned === print) return;
    throw new TunnelError("refused", {
      action: `check the key of ${device}`,
      state: `it is ${print}, and ${pinned} was pinned`,
      remedy: `if the device has joined anew, remove its line from ${home.pinsPath}`,
    });
  };
}
