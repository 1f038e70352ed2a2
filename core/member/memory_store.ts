/** Identities kept for as long as the program runs, or wherever the program puts their JSON. */

import type { Role } from "../identity/credential.ts";
import type { MemberState } from "../membership.ts";
import { asJwks, type Identity, type JwkIdentity, type MemberStore } from "./identity.ts";

/** A {@linkcode MemberStore} in memory. */
export interface MemoryMemberStore extends MemberStore {
  /** All that it has, to be kept elsewhere; see `JSON.stringify` and `parseIdentity`. */
  readonly identities: readonly JwkIdentity[];
}

/**
 * A store that forgets when the program ends. A join string is used up by then, so that the next run
 * needs another one: for tests, and for programs that keep `identities` in a place of their own.
 *
 * @param onChange called with every identity that comes or is renewed, before it is used
 *
 * @example
 * ```ts
 * import { connect, memoryStore, parseIdentity } from "@tunnel/tunnel";
 *
 * const kept = localStorage.getItem("operator");
 * const store = memoryStore(kept ? [parseIdentity(kept)] : [], (identity) => {
 *   localStorage.setItem("operator", JSON.stringify(identity));
 * });
 * await using fleet = await connect({ store });
 * ```
 */
export function memoryStore(
  identities: Iterable<JwkIdentity> = [],
  onChange: (identity: JwkIdentity) => void | Promise<void> = () => {},
): MemoryMemberStore {
  const kept = new Map<string, JwkIdentity>();
  for (const identity of identities) kept.set(keyOf(identity.role, identity.name), identity);
  const put = async (identity: JwkIdentity) => {
    await onChange(identity);
    kept.set(keyOf(identity.role, identity.name), identity);
  };
  return {
    form: "jwk",
    get identities() {
      return [...kept.values()];
    },
    load: (role, name) => Promise.resolve(kept.get(keyOf(role, name))),
    save: (identity: Identity) => put(asJwks(identity)),
    async replace({ role, name }, before, next: MemberState) {
      const identity = kept.get(keyOf(role, name));
      if (identity?.credential !== before) return false;
      await put({ ...identity, ...asJwks(next) });
      return true;
    },
  };
}

function keyOf(role: Role, name: string | undefined): string {
  return role === "device" ? `device ${name}` : role;
}
