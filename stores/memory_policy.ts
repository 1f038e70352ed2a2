/** Invitations, standings and grants in memory. */

import type { Role } from "../core/identity/credential.ts";
import { type Grant, hasEnded } from "../core/policy/grant.ts";
import type { Invite, Standing } from "../core/store.ts";
import type { PolicyTables } from "./tables.ts";

export class MemoryPolicy implements PolicyTables {
  readonly #invites = new Map<string, Invite>();
  /** By role and name, with a space between them. */
  readonly #standings = new Map<string, Standing>();
  /** By operator and scope, with a space between them. */
  readonly #grants = new Map<string, Grant>();
  #version = 1;

  invite(secretHash: string): Invite | undefined {
    return this.#invites.get(secretHash);
  }

  addInvite(invite: Invite): boolean {
    if (this.#invites.has(invite.secretHash)) return false;
    this.#invites.set(invite.secretHash, invite);
    return true;
  }

  useInvite(secretHash: string): void {
    const invite = this.#invites.get(secretHash);
    if (invite) this.#invites.set(secretHash, { ...invite, uses: invite.uses - 1 });
  }

  dropInvites(role: Role, name: string): void {
    remove(this.#invites, (invite) => invite.role === role && invite.name === name);
  }

  dropInvitesExpiredBefore(instant: number): void {
    remove(this.#invites, ({ expiresAt }) => expiresAt < instant);
  }

  standing(role: Role, name: string): Standing | undefined {
    return this.#standings.get(`${role} ${name}`);
  }

  putStanding(standing: Standing): void {
    this.#standings.set(`${standing.role} ${standing.name}`, standing);
  }

  standings(): Standing[] {
    return inOrder(this.#standings);
  }

  grant(id: string): Grant | undefined {
    return this.#grants.values().find((grant) => grant.id === id);
  }

  grantsOf(operator: string): Grant[] {
    return this.grants().filter((grant) => grant.operator === operator);
  }

  putGrant(grant: Grant): void {
    this.#grants.set(`${grant.operator} ${grant.scope}`, { ...grant });
  }

  dropGrant(id: string): void {
    remove(this.#grants, (grant) => grant.id === id);
  }

  dropGrantsEnded(now: number): void {
    remove(this.#grants, (grant) => hasEnded(grant, now));
  }

  grants(): Grant[] {
    return inOrder(this.#grants);
  }

  version(): number {
    return this.#version;
  }

  bump(): void {
    this.#version++;
  }
}

/** Copies, in the order of their keys. */
function inOrder<T extends object>(map: Map<string, T>): T[] {
  return [...map.keys()].sort().map((key) => ({ ...map.get(key)! }));
}

function remove<T>(map: Map<string, T>, isOver: (value: T) => boolean): void {
  for (const [key, value] of map) if (isOver(value)) map.delete(key);
}
