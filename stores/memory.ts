/** A store that lasts as long as its process: for tests of the engine. */

import { TunnelError } from "../core/errors.ts";
import type { Role } from "../core/identity/credential.ts";
import {
  alreadyRecorded,
  checkInvite,
  checkPage,
  type DeviceRecord,
  type Invite,
  INVITE_KEPT,
  inviteRefusal,
  MAX_PAGE,
  type Member,
  type Sighting,
  type Store,
} from "../core/store.ts";

/** Nothing here awaits, so every method is atomic as it stands. */
export class MemoryStore implements Store {
  readonly #invites = new Map<string, Invite>();
  readonly #members: Member[] = [];
  readonly #devices = new Map<string, DeviceRecord>();
  #closed = false;

  createInvite(invite: Invite): Promise<void> {
    return this.#run(() => {
      checkInvite(invite);
      for (const [hash, { expiresAt }] of this.#invites) {
        if (expiresAt < invite.at - INVITE_KEPT) this.#invites.delete(hash);
      }
      if (this.#invites.has(invite.secretHash)) throw alreadyRecorded("invite");
      this.#invites.set(invite.secretHash, { ...invite });
    });
  }

  redeemInvite(secretHash: string, now: number): Promise<{ role: Role; name: string }> {
    return this.#run(() => {
      const invite = this.#invites.get(secretHash);
      if (!invite) throw inviteRefusal("unknown");
      if (invite.uses < 1) throw inviteRefusal("used");
      if (invite.expiresAt <= now) throw inviteRefusal("expired", invite.expiresAt);
      invite.uses--;
      return { role: invite.role, name: invite.name };
    });
  }

  recordMember(member: Member): Promise<void> {
    return this.#run(() => {
      if (this.#members.some((known) => known.credentialId === member.credentialId)) {
        throw alreadyRecorded("record a member");
      }
      this.#members.push({ ...member });
      if (member.role === "device" && !this.#devices.has(member.name)) {
        this.#devices.set(member.name, { name: member.name, since: member.at });
      }
    });
  }

  async member(role: Role, name: string): Promise<Member | undefined> {
    return (await this.memberHistory(role, name))[0];
  }

  memberHistory(role: Role, name: string): Promise<Member[]> {
    return this.#run(() =>
      this.#members.filter((member) => member.role === role && member.name === name)
        .reverse().slice(0, MAX_PAGE).map((member) => ({ ...member }))
    );
  }

  deviceSeen(name: string, sighting: Sighting): Promise<void> {
    return this.#run(() => {
      const device = this.#devices.get(name) ?? { name, since: sighting.at };
      if (!device.lastSeen || device.lastSeen.at <= sighting.at) {
        device.lastSeen = structuredClone(sighting);
      }
      this.#devices.set(name, device);
    });
  }

  devices(page: { after?: string; limit: number }): Promise<DeviceRecord[]> {
    return this.#run(() => {
      checkPage(page.limit);
      const { after = "" } = page;
      const names = [...this.#devices.keys()].filter((name) => name > after).sort();
      return names.slice(0, page.limit).map((name) => structuredClone(this.#devices.get(name)!));
    });
  }

  isKnownDevice(name: string): Promise<boolean> {
    return this.#run(() => this.#devices.has(name));
  }

  device(name: string): Promise<DeviceRecord | undefined> {
    return this.#run(() => structuredClone(this.#devices.get(name)));
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One turn of the event loop as a promise: a throw becomes a rejection, as it is with a file. */
  // deno-lint-ignore require-await -- async turns a throw into a rejection
  async #run<T>(work: () => T): Promise<T> {
    if (this.#closed) {
      throw new TunnelError("closed", { action: "use the store", state: "it is closed" });
    }
    return work();
  }
}
