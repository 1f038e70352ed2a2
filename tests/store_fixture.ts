/** What the tests of the stores have in common: the stores, and things to keep in them. */

import * as assert from "uvu/assert";
import type { Invite, Member, Sighting, Store } from "../core/store.ts";
import { MemoryStore } from "../stores/memory.ts";
import { SqliteStore } from "../stores/sqlite.ts";
import { failureOf } from "./failure.ts";

/** Milliseconds since 1970. */
export const NOW = Date.UTC(2026, 0, 1);
/** Milliseconds. */
export const HOUR = 3_600_000;

/** Every store that keeps the contract, and how an empty one is opened. */
export const STORES: readonly [name: string, open: () => Promise<Store>][] = [
  ["memory", () => Promise.resolve(new MemoryStore())],
  ["sqlite", () => SqliteStore.open(newPath())],
];

let folder: string | undefined;
let files = 0;

/** A path for a store's file, in a folder of its own that goes with this process. */
export function newPath(): string {
  if (!folder) {
    const made = folder = Deno.makeTempDirSync();
    globalThis.addEventListener("unload", () => Deno.removeSync(made, { recursive: true }));
  }
  return `${folder}/${++files}/store.db`;
}

export function invite(secretHash: string, changed: Partial<Invite> = {}): Invite {
  const whole = { role: "device", name: "pi-7", at: NOW, expiresAt: NOW + HOUR, uses: 1 } as const;
  return { ...whole, secretHash, ...changed };
}

export function member(credentialId: string, changed: Partial<Member> = {}): Member {
  const whole = { role: "device", name: "pi-7", keyThumbprint: "k", at: NOW } as const;
  return { ...whole, expiresAt: NOW + HOUR, credentialId, ...changed };
}

export function seen(at: number, hostname = "192.0.2.1"): Sighting {
  return { at, transport: "quic", remote: { hostname, port: 4433 } };
}

/** Fails unless redeeming is refused for that reason. */
export async function refused(store: Store, hash: string, now: number, why: string): Promise<void> {
  const error = await failureOf(store.redeemInvite(hash, now));
  assert.is(error.code, "refused");
  assert.match(error.message, why);
  assert.match(error.message, "ask for a new join string");
}
