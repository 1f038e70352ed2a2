/**
 * The home folder (`--home`, else ~/.tunnel): a relay's state, and the identities of the devices and
 * operators on this machine.
 *
 *     relay/authority.jwk    the fleet authority's key             relay/store.db   see sqlite.ts
 *     relay/tls/             the development certificate           relay/endpoint.json
 *     devices/ID.json        a device's identity                   operator.json    the operator's
 *     transports.json        which transport last reached a relay
 */

import * as v from "valibot";
import { TunnelError } from "../core/errors.ts";
import { Authority } from "../core/identity/credential.ts";
import type { PrivateJwk } from "../core/identity/keys.ts";
import type { Store } from "../core/store.ts";
import { ensureDir, isExposed, readText, writePrivate } from "./files.ts";
import { openSqliteStore } from "./sqlite.ts";

const base64Url = v.pipe(v.string(), v.regex(/^[\w-]{43}$/));
const publicKey = { kty: v.literal("OKP"), crv: v.literal("Ed25519"), x: base64Url };
const PrivateKey = v.object({ ...publicKey, d: base64Url });

const IdentityForm = v.object({
  role: v.picklist(["device", "operator"]),
  name: v.string(),
  /** `tunnel://host:port` */
  relay: v.string(),
  /** The relay's root certificate, PEM, where it is not one that everybody trusts. */
  root: v.optional(v.string()),
  /** The fleet authority's public key. */
  authority: v.object(publicKey),
  credential: v.string(),
  privateKey: PrivateKey,
});

/** What a member keeps. */
export type Identity = v.InferOutput<typeof IdentityForm>;

const EndpointForm = v.object({
  /** As join strings name it. */
  url: v.string(),
  /** As this machine reaches it. */
  local: v.string(),
  root: v.optional(v.string()),
});

/** Where a relay of this home is reached. */
export type RelayEndpoint = v.InferOutput<typeof EndpointForm>;

const TransportsForm = v.record(v.string(), v.object({ transport: v.string(), at: v.number() }));

/** A home folder; nothing in it is made before it is needed. */
export class Home {
  constructor(readonly path: string) {}

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

  /** True when a relay has run with this home. */
  hasRelay(): boolean {
    return readText(`${this.path}/relay/authority.jwk`) !== undefined;
  }

  /** The relay's store. */
  openStore(): Store {
    ensureDir(`${this.path}/relay`);
    return openSqliteStore(`${this.path}/relay/store.db`);
  }

  /** The fleet authority, made at the first call. */
  async authority(): Promise<Authority> {
    const path = `${this.path}/relay/authority.jwk`;
    const kept = this.#read(path, PrivateKey) as PrivateJwk | undefined;
    if (kept) return await Authority.import(kept);
    ensureDir(`${this.path}/relay`);
    const authority = await Authority.generate();
    writePrivate(path, JSON.stringify(await authority.export()));
    return authority;
  }

  relayEndpoint(): RelayEndpoint | undefined {
    return this.#read(`${this.path}/relay/endpoint.json`, EndpointForm);
  }

  saveRelayEndpoint(endpoint: RelayEndpoint): void {
    writePrivate(`${this.path}/relay/endpoint.json`, JSON.stringify(endpoint));
  }

  /** The file of a device's identity, or of this home's operator. */
  identityPath(role: Identity["role"], name: string | undefined): string {
    return role === "device" ? `${this.path}/devices/${name}.json` : `${this.path}/operator.json`;
  }

  /** @param name a device's ID; an operator's home has one identity */
  identity(role: Identity["role"], name?: string): Identity | undefined {
    return this.#read(this.identityPath(role, name), IdentityForm);
  }

  saveIdentity(identity: Identity): void {
    ensureDir(identity.role === "device" ? `${this.path}/devices` : this.path);
    const path = this.identityPath(identity.role, identity.name);
    writePrivate(path, `${JSON.stringify(identity, null, 2)}\n`);
  }

  /** True when other users of this machine may read a member's private key. */
  isExposed(role: Identity["role"], name?: string): boolean {
    return isExposed(this.identityPath(role, name));
  }

  /** Which transport last reached each relay; a lost or damaged note only costs time. */
  get transports() {
    const path = `${this.path}/transports.json`;
    const read = () => {
      try {
        return this.#read(path, TransportsForm) ?? {};
      } catch {
        return {};
      }
    };
    return {
      get: (relay: string) => read()[relay],
      set: (relay: string, entry: { transport: string; at: number }) => {
        const all = read();
        const known = all[relay];
        // Written when it says something new, not at every connection.
        if (known?.transport === entry.transport && entry.at - known.at < 600_000) return;
        try {
          ensureDir(this.path);
          writePrivate(path, JSON.stringify({ ...all, [relay]: entry }));
        } catch {
          // A home that cannot be written works too: the next connection races again.
        }
      },
    };
  }

  #read<S extends v.GenericSchema>(path: string, schema: S): v.InferOutput<S> | undefined {
    const text = readText(path);
    if (text === undefined) return undefined;
    try {
      return v.parse(schema, JSON.parse(text));
    } catch {
      // The cause would quote the file, which may hold a private key.
      throw new TunnelError("internal", {
        action: `read ${path}`,
        state: "the file is damaged",
        remedy: "restore it from a backup, or remove it and join again",
      });
    }
  }
}
