/** The store over tables, whatever they are kept in. */

import { toTunnelError, TunnelError } from "../core/errors.ts";
import type { Role } from "../core/identity/credential.ts";
import {
  type AuditEvent,
  type AuditQuery,
  type AuditRow,
  cleanEvent,
} from "../core/policy/audit.ts";
import { type Author, CHANGE, type Change } from "../core/policy/change.ts";
import type { Grant } from "../core/policy/grant.ts";
import {
  alreadyRecorded,
  type AuditReport,
  checkPage,
  type DeviceRecord,
  MAX_PAGE,
  type Member,
  type PolicySnapshot,
  type Redeemed,
  type Sighting,
  type Store,
} from "../core/store.ts";
import { appendEvents, breather, checkChain, pruneChain } from "./audit_chain.ts";
import { applyChange, redeem, welcome } from "./changes.ts";
import type { Tables } from "./tables.ts";

/** Every change is one {@linkcode Tables.change}, its rows in the audit trail included. */
export class TableStore implements Store {
  readonly #tables: Tables;
  #closed = false;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  apply(change: Change, author: Author): Promise<Grant[]> {
    return this.#change(CHANGE, ({ policy, audit }) => {
      const { grants, events } = applyChange(policy, change, author);
      appendEvents(audit, events);
      return [...grants];
    });
  }

  redeemInvite(secretHash: string, now: number): Promise<Redeemed> {
    return this.#change("redeem a join string", ({ policy }) => redeem(policy, secretHash, now));
  }

  recordMember(member: Member, event: AuditEvent): Promise<void> {
    return this.#change("record a member", ({ members, policy, audit }) => {
      const { role, name, at } = member;
      // Before anything is written: memory cannot undo.
      const clean = cleanEvent(event);
      if (!members.addCredential(member)) throw alreadyRecorded("record a member");
      if (role === "device") members.addDevice(name, at);
      welcome(policy, role, name, at);
      appendEvents(audit, [clean]);
    });
  }

  member(role: Role, name: string): Promise<Member | undefined> {
    return this.#run(
      "look up a member",
      ({ members }) => members.credentials(role, name, 1)[0],
    );
  }

  memberHistory(role: Role, name: string): Promise<Member[]> {
    return this.#run(
      "look up a member",
      ({ members }) => members.credentials(role, name, MAX_PAGE),
    );
  }

  policy(): Promise<PolicySnapshot> {
    return this.#run("read the grants", (tables) =>
      tables.read(() => ({
        version: tables.policy.version(),
        grants: tables.policy.grants(),
        standings: tables.policy.standings(),
      })));
  }

  policyVersion(): Promise<number> {
    return this.#run("read the grants", ({ policy }) => policy.version());
  }

  record(events: readonly AuditEvent[]): Promise<void> {
    return this.#change("record events", ({ audit }) => appendEvents(audit, events));
  }

  audit(query: AuditQuery): Promise<AuditRow[]> {
    return this.#run("read the audit trail", (tables) => {
      checkPage("read the audit trail", query.limit);
      return tables.read(() => tables.audit.find(query));
    });
  }

  checkAudit(): Promise<AuditReport> {
    const action = "check the audit trail";
    return checkChain({
      ends: () => this.#run(action, (tables) => tables.read(() => tables.audit.ends())),
      rows: (after, limit) => this.#run(action, ({ audit }) => audit.rows(after, limit)),
    });
  }

  async pruneAudit(before: number, author: Author): Promise<number> {
    for (let forgotten = 0;;) {
      const { count, done } = await this.#change(
        "prune the audit trail",
        ({ audit }) => pruneChain(audit, before, author),
      );
      forgotten += count;
      if (done) return forgotten;
      await breather();
    }
  }

  devicesSeen(sightings: readonly (readonly [name: string, Sighting])[]): Promise<void> {
    return this.#change("record devices", ({ members, policy }) => {
      for (const [name, sighting] of sightings) {
        members.addDevice(name, sighting.at);
        members.see(name, sighting);
        welcome(policy, "device", name, sighting.at);
      }
    });
  }

  devices(page: { after?: string; limit: number }): Promise<DeviceRecord[]> {
    return this.#run("list devices", ({ members }) => {
      checkPage("list devices", page.limit);
      return members.devices(page.after ?? "", page.limit);
    });
  }

  async isKnownDevice(name: string): Promise<boolean> {
    return await this.device(name) !== undefined;
  }

  device(name: string): Promise<DeviceRecord | undefined> {
    return this.#run("look up a device", ({ members }) => members.device(name));
  }

  close(): Promise<void> {
    if (!this.#closed) this.#tables.close();
    this.#closed = true;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #change<T>(action: string, work: (tables: Tables) => T): Promise<T> {
    return this.#run(action, (tables) => tables.change(() => work(tables)));
  }

  // deno-lint-ignore require-await -- async turns a throw into a rejection
  async #run<T>(action: string, work: (tables: Tables) => T): Promise<T> {
    if (this.#closed) {
      throw new TunnelError("closed", { action: "use the store", state: "it is closed" });
    }
    try {
      return work(this.#tables);
    } catch (cause) {
      throw toTunnelError(cause, action, "internal");
    }
  }
}
