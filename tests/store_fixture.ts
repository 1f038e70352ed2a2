/** What the tests of the stores have in common: the stores, and things to keep in them. */

import { createHash } from "node:crypto";
import * as assert from "uvu/assert";
import type { AuditEvent } from "../core/policy/audit.ts";
import type { Author, Change } from "../core/policy/change.ts";
import type { Grant } from "../core/policy/grant.ts";
import type { Member, Redeemed, Sighting, Store } from "../core/store.ts";
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

type Invitation = Extract<Change, { type: "invite" }>;

/** An admin, who changes things at that time. */
export function author(at = NOW): Author {
  return { by: "operator:anna", from: "192.0.2.7", at };
}

/** An invitation whose secret has the hash of `label`. */
export function invitation(label: string, changed: Partial<Invitation> = {}): Invitation {
  const whole = { type: "invite", role: "device", name: "pi-7", expiresAt: NOW + HOUR } as const;
  return { ...whole, secretHash: hashOf(label), uses: 1, ...changed };
}

/** Invites, at NOW unless told otherwise. */
export function invite(
  store: Store,
  label: string,
  { at, ...changed }: Partial<Invitation> & { at?: number } = {},
): Promise<Grant[]> {
  return store.apply(invitation(label, changed), author(at));
}

export function redeem(store: Store, label: string, now = NOW): Promise<Redeemed> {
  return store.redeemInvite(hashOf(label), now);
}

/** A hash as a store takes it. */
export function hashOf(label: string): string {
  return createHash("sha256").update(label).digest("base64url");
}

/** Records a member, with the event of a join. */
export function join(store: Store, member: Member): Promise<void> {
  const { role, name, at } = member;
  return store.recordMember(member, joined(role, name, at));
}

export function joined(role: Member["role"], name: string, at = NOW): AuditEvent {
  return { at, type: "join", by: `${role}:${name}`, from: "192.0.2.1", [role]: name };
}

export function member(credentialId: string, changed: Partial<Member> = {}): Member {
  const whole = { role: "device", name: "pi-7", keyThumbprint: "k", at: NOW } as const;
  return { ...whole, expiresAt: NOW + HOUR, credentialId, ...changed };
}

export function seen(at: number, hostname = "192.0.2.1"): Sighting {
  return { at, transport: "quic", remote: { hostname, port: 4433 } };
}

/** Fails unless redeeming is refused for that reason. */
export async function refused(
  store: Store,
  label: string,
  now: number,
  why: string,
): Promise<void> {
  const error = await failureOf(redeem(store, label, now));
  assert.is(error.code, "refused");
  assert.match(error.message, why);
  assert.match(error.message, "ask for a new join string");
}
