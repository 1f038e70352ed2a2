/**
 * The home folder (`--home`, else ~/.tunnel): a relay's state, and the identities of the devices and
 * operators on this machine.
 *
 *     relay/authority.jwk    the fleet authority's key             relay/store.db   see sqlite.ts
 *     relay/tls/             the development certificate           relay/endpoint.json
 *     devices/ID.json        a device's identity                   operator.json    the operator's
 *     pending/ROLE-NAME.json keys that a credential was requested for
 *     transports.json        which transport last reached a relay
 *     pins.json              devices' keys as `--pin` found them
 */

import * as v from "valibot";
import { toTunnelError, TunnelError } from "../core/errors.ts";
import { Authority } from "../core/identity/credential.ts";
import { PrivateAgreementJwk, PrivateJwk, PublicJwk } from "../core/identity/keys.ts";
import type { JwkIdentity } from "../core/member/identity.ts";
import type { Store } from "../core/store.ts";
import { withFileLock } from "./file_lock.ts";
import { removeIfThere, writePrivate } from "./files.ts";
import { readJson, writeJson } from "./json_files.ts";
import { MemberFiles } from "./member_files.ts";
import { SqliteStore } from "./sqlite.ts";

/** What a member of a home keeps. */
export type Identity = JwkIdentity;

const PendingForm = v.object({
  role: v.picklist(["device", "operator"]),
  name: v.string(),
  privateKey: PrivateJwk,
  agreementKey: PrivateAgreementJwk,
  /** The authority that is expected to sign, where one is. */
  authority: v.optional(PublicJwk),
});

/** Keys that wait for the credential that was requested for them. */
export type Pending = v.InferOutput<typeof PendingForm>;

const EndpointForm = v.object({
  /** As join strings name it. */
  url: v.string(),
  /** As this machine reaches it. */
  local: v.string(),
  root: v.optional(v.string()),
  /** Set when the relay holds this public key of the authority alone, and issues nothing. */
  authority: v.optional(PublicJwk),
});

/** Where a relay of this home is reached. */
export type RelayEndpoint = v.InferOutput<typeof EndpointForm>;

const TransportsForm = v.record(v.string(), v.object({ transport: v.string(), at: v.number() }));

/** By device: a map and no object, because an ID may be a word that objects keep for themselves. */
const PinsForm = v.pipe(
  v.custom<object>((pins) => typeof pins === "object" && pins !== null && !Array.isArray(pins)),
  v.transform((pins) => new Map<string, unknown>(Object.entries(pins))),
  v.map(v.string(), v.string()),
);

/** A home folder; nothing in it is made before it is needed. */
export class Home {
  /** The identities of the devices and of the operator on this machine. */
  readonly members: MemberFiles;

  constructor(readonly path: string) {
    this.members = new MemberFiles(path, { lock: withFileLock });
  }

  /** The folder of the user, as the system names it. */
  static default(env: (name: string) => string | undefined): Home {
    const user = env("HOME") ?? env("USERPROFILE");
    if (!user) {
      throw new TunnelError("usage", {
        action: "find the home folder",
        state: "neither HOME nor USERPROFILE is set",
        remedy: "name it: --home DIR",
      });
    }
    return new Home(`${user}/.tunnel`);
  }

  /** The folder that a relay keeps its development certificate in. */
  get tlsPath(): string {
    return `${this.path}/relay/tls`;
  }

  /** The relay's store. */
  openStore(): Promise<Store> {
    return SqliteStore.open(this.#storePath);
  }

  /** Whether a relay has run with this home. */
  async hasStore(): Promise<boolean> {
    try {
      return (await Deno.stat(this.#storePath)).isFile;
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return false;
      throw toTunnelError(cause, `read ${this.#storePath}`, "unavailable");
    }
  }

  /** The fleet authority; undefined when none was made in this home. */
  async authority(): Promise<Authority | undefined> {
    const kept = await readJson(this.#authorityPath, PrivateJwk);
    return kept && await Authority.import(kept.value);
  }

  /** The authority that the relay of this home issues by; undefined when it holds its public key alone. */
  async issuer(): Promise<Authority | undefined> {
    return (await this.relayEndpoint())?.authority ? undefined : await this.authority();
  }

  /** The fleet authority, made when there is none. */
  async makeAuthority(): Promise<Authority> {
    // Two relays that start with a new home at once must not make two.
    return await withFileLock(`${this.#authorityPath}.lock`, async () => {
      const kept = await this.authority();
      if (kept) return kept;
      const authority = await Authority.generate();
      await writePrivate(this.#authorityPath, JSON.stringify(await authority.export()));
      return authority;
    });
  }

  async relayEndpoint(): Promise<RelayEndpoint | undefined> {
    return (await readJson(`${this.path}/relay/endpoint.json`, EndpointForm))?.value;
  }

  async saveRelayEndpoint(endpoint: RelayEndpoint): Promise<void> {
    await writePrivate(`${this.path}/relay/endpoint.json`, JSON.stringify(endpoint));
  }

  /** The file by which a running device is asked to rotate its keys; see `rotation.ts`. */
  rotationPath(device: string): string {
    return `${this.path}/devices/${device}.rotate`;
  }

  async pending(role: Identity["role"], name: string): Promise<Pending | undefined> {
    return (await readJson(this.#pendingPath(role, name), PendingForm))?.value;
  }

  async savePending(pending: Pending): Promise<void> {
    await writeJson(this.#pendingPath(pending.role, pending.name), pending);
  }

  async removePending({ role, name }: Pending): Promise<void> {
    await removeIfThere(this.#pendingPath(role, name));
  }

  /** Which transport last reached each relay, as far as it is remembered. */
  async transports(): Promise<v.InferOutput<typeof TransportsForm>> {
    return (await readJson(this.#transportsPath, TransportsForm))?.value ?? {};
  }

  async saveTransports(transports: v.InferOutput<typeof TransportsForm>): Promise<void> {
    await writePrivate(this.#transportsPath, JSON.stringify(transports));
  }

  /** Where {@linkcode Home.pin} keeps what it knows. */
  get pinsPath(): string {
    return `${this.path}/pins.json`;
  }

  /** The fingerprint that is pinned for a device: from before, or this one from now on. */
  async pin(device: string, fingerprint: string): Promise<string> {
    return await withFileLock(`${this.pinsPath}.lock`, async () => {
      const pins = (await readJson(this.pinsPath, PinsForm))?.value ?? new Map<string, string>();
      const pinned = pins.get(device);
      if (pinned !== undefined) return pinned;
      const text = JSON.stringify(Object.fromEntries(pins.set(device, fingerprint)), null, 2);
      await writePrivate(this.pinsPath, `${text}\n`);
      return fingerprint;
    });
  }

  get #storePath(): string {
    return `${this.path}/relay/store.db`;
  }

  get #authorityPath(): string {
    return `${this.path}/relay/authority.jwk`;
  }

  get #transportsPath(): string {
    return `${this.path}/transports.json`;
  }

  #pendingPath(role: Identity["role"], name: string): string {
    return `${this.path}/pending/${role}-${name}.json`;
  }
}
