/** The store of members in browsers: IndexedDB, with keys that no script can read. */

import { clear, createStore, get, set, update } from "idb-keyval";
import { toTunnelError } from "../core/errors.ts";
import type { Role } from "../core/identity/credential.ts";
import type { Identity, MemberStore } from "../core/member/identity.ts";

const TABLE = "identities";

/**
 * Keeps identities in a database of this origin. Their private keys are CryptoKeys that were made not
 * to be exported: a script that gets into the page can use them while it runs there, and take none
 * away. Whoever clears the site's data needs a new join string.
 *
 * @param name the database's; default "tunnel"
 *
 * @example
 * ```ts
 * import { connect, indexedDbStore } from "@tunnel/tunnel/browser";
 *
 * const join = location.hash.slice(1) || undefined;
 * const fleet = await connect({ store: indexedDbStore(), join });
 * ```
 */
export function indexedDbStore(name: string = "tunnel"): MemberStore {
  const table = createStore(name, TABLE);
  const action = `use the database ${name}`;
  const use = async <T>(work: () => Promise<T>) => {
    try {
      return await work();
    } catch (cause) {
      throw toTunnelError(cause, action, "unavailable");
    }
  };
  return {
    form: "sealed",
    load: (role, name) => use(() => get<Identity>(keyOf(role, name), table)),
    save: (identity) => use(() => set(keyOf(identity.role, identity.name), identity, table)),
    replace: (member, before, next) =>
      use(async () => {
        let isReplaced = false;
        // One transaction, whatever other tabs do meanwhile.
        await update<Identity | undefined>(keyOf(member.role, member.name), (kept) => {
          isReplaced = kept?.credential === before;
          return kept && isReplaced ? { ...kept, ...next } : kept;
        }, table);
        return isReplaced;
      }),
  };
}

/**
 * Deletes all that {@linkcode indexedDbStore} keeps under a name.
 *
 * @throws {TunnelError} `unavailable`
 */
export async function clearIdentities(name: string = "tunnel"): Promise<void> {
  try {
    await clear(createStore(name, TABLE));
  } catch (cause) {
    throw toTunnelError(cause, `clear the database ${name}`, "unavailable");
  }
}

function keyOf(role: Role, name: string | undefined): string {
  return role === "device" ? `device ${name}` : role;
}
