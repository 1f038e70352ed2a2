/** Asking a relay for the hashes of its certificates, as a browser and Node may. */

import { HASHES_PATH, MAX_HASHES, readHashes } from "../../core/identity/certificate_hashes.ts";
import { TunnelError } from "../../core/errors.ts";
import type { HashFinder } from "./platform.ts";

/** As much of `fetch` as is used. */
export type SmallFetch = (
  url: string,
  init: { signal: AbortSignal },
) => Promise<{ readonly ok: boolean; readonly status: number; text(): Promise<string> }>;

/**
 * Gets them over HTTPS and has the roots vouch for them.
 *
 * @param fetch must reach the relay: in a browser one whose certificate the page was loaded with, in
 * Node one that trusts the join string's root. What it brings is verified all the same.
 */
export function wellKnownHashes(fetch: SmallFetch): HashFinder {
  return async (relay, { roots, signal }) => {
    const url = `https://${relay.host}${HASHES_PATH}`;
    const response = await fetch(url, { signal });
    if (!response.ok) {
      throw new TunnelError("unreachable", {
        action: `ask ${relay.host} for its certificates`,
        state: `HTTP status ${response.status} came`,
      });
    }
    const text = (await response.text()).trim();
    return await readHashes(text.slice(0, MAX_HASHES + 1), roots);
  };
}
