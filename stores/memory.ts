/** A store that lasts as long as its process: for tests of the engine. */

import type { Role } from "../core/identity/credential.ts";
import type { DeviceRecord, Member, Sighting } from "../core/store.ts";
import { MemoryAudit } from "./memory_audit.ts";
import { MemoryPolicy } from "./memory_policy.ts";
import { TableStore } from "./table_store.ts";
import type { MemberTables, Tables } from "./tables.ts";

/** Nothing here awaits, so every method is atomic as it stands. */
export class MemoryStore extends TableStore {
  constructor() {
    super(new MemoryTables());
  }
}

class MemoryTables implements Tables {
  readonly members = new MemoryMembers();
  readonly policy = new MemoryPolicy();
  readonly audit = new MemoryAudit();

  change<T>(work: () => T): T {
    return work();
  }

  read<T>(work: () => T): T {
    return work();
  }

  close(): void {}
}

class MemoryMembers implements MemberTables {
  readonly #credentials = new Map<string, Member>();
  readonly #devices = new Map<string, DeviceRecord>();

  addCredential(member: Member): boolean {
    if (this.#credentials.has(member.credentialId)) return false;
    this.#credentials.set(member.credentialId, { ...member });
    return true;
  }

  credentials(role: Role, name: string, limit: number): Member[] {
    return [...this.#credentials.values()]
      .filter((member) => member.role === role && member.name === name)
      .reverse().slice(0, limit).map((member) => ({ ...member }));
  }

  addDevice(name: string, since: number): void {
    if (!this.#devices.has(name)) this.#devices.set(name, { name, since });
  }

  see(name: string, sighting: Sighting): void {
    const device = this.#devices.get(name);
    if (!device || (device.lastSeen && device.lastSeen.at > sighting.at)) return;
    device.lastSeen = structuredClone(sighting);
  }

  device(name: string): DeviceRecord | undefined {
    return structuredClone(this.#devices.get(name));
  }

  devices(after: string, limit: number): DeviceRecord[] {
    const names = [...this.#devices.keys()].filter((name) => name > after).sort();
    return names.slice(0, limit).map((name) => this.device(name)!);
  }
}
