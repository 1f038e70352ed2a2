/**
 * Identities in files, as the home of the command line has them:
 *
 *     devices/ID.json  a device's        operator.json  the operator's
 */

import type { Role } from "../core/identity/credential.ts";
import { type Log, SILENT } from "../core/log.ts";
import { asJwks, type Identity, JwkIdentity, type MemberStore } from "../core/member/identity.ts";
import type { MemberState } from "../core/membership.ts";
import { readJson, writeJson } from "./json_files.ts";

/** Runs `work` while nobody else holds the lock of that file. */
export type Lock = <T>(path: string, work: () => Promise<T>) => Promise<T>;

export interface MemberFilesOptions {
  /** Keeps processes that change one folder apart; without it one process at a time may. */
  readonly lock?: Lock;
  /** Is warned of files that other users of this machine can read. */
  readonly log?: Log;
}

export class MemberFiles implements MemberStore {
  readonly form = "jwk";
  readonly #lock: Lock;
  readonly #log: Log;

  /** @param path a folder; nothing in it is made before it is needed */
  constructor(readonly path: string, options: MemberFilesOptions = {}) {
    this.#lock = options.lock ?? ((_, work) => work());
    this.#log = options.log ?? SILENT;
  }

  async load(role: Role, name?: string): Promise<JwkIdentity | undefined> {
    const file = await this.read(role, name);
    if (file?.warning) this.#log.warn(file.warning);
    return file?.value;
  }

  /** The same, with a warning when other users of this machine can read the file. */
  async read(
    role: Role,
    name: string | undefined,
  ): Promise<{ value: JwkIdentity; warning?: string } | undefined> {
    return await readJson(this.#pathOf(role, name), JwkIdentity);
  }

  async save(identity: Identity): Promise<void> {
    const path = this.#pathOf(identity.role, identity.name);
    await this.#lock(`${path}.lock`, () => writeJson(path, asJwks(identity)));
  }

  async replace(
    { role, name }: Pick<Identity, "role" | "name">,
    before: string,
    next: MemberState,
  ): Promise<boolean> {
    const path = this.#pathOf(role, name);
    return await this.#lock(`${path}.lock`, async () => {
      const kept = (await readJson(path, JwkIdentity))?.value;
      if (kept?.credential !== before) return false;
      await writeJson(path, { ...kept, ...asJwks(next) });
      return true;
    });
  }

  #pathOf(role: Role, name: string | undefined): string {
    return role === "device" ? `${this.path}/devices/${name}.json` : `${this.path}/operator.json`;
  }
}
