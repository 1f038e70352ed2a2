/** What a service knows of devices: their keys, certified by the fleet's authority. */

import type { Peer } from "./control.ts";
import { untilAborted } from "./deadline.ts";
import { TunnelError } from "./errors.ts";
import { CLOCK_TOLERANCE, type Verifier } from "./identity/credential.ts";
import type { AgreementJwk } from "./identity/keys.ts";
import type { Link } from "./link.ts";

/** Devices remembered at most; then they are asked for again. */
const MAX_PEERS = 1_024;

/** A device as it may be dialled. */
export interface KnownPeer {
  /** The device's public key for channels: X25519, 32 bytes in base64url. */
  readonly key: string;
  readonly epoch: string;
  /** When its credential ends, milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface PeersOptions {
  /** By the authority of the fleet, as the operator's join string named it. */
  readonly verifier: Verifier;
  /**
   * Has the last word on a device's key, after the authority's: the place for pins.
   *
   * @throws {TunnelError} `refused`
   */
  readonly trust?: (device: string, key: AgreementJwk) => void | Promise<void>;
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly now?: () => number;
}

export class Peers {
  readonly #options: PeersOptions;
  readonly #known = new Map<string, KnownPeer>();
  readonly #asking = new Map<string, Promise<KnownPeer>>();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /**
   * A device as it was last seen, or as the relay says it is.
   *
   * @throws {TunnelError} `unknown`, `offline`, `refused`, `reset`
   */
  async find(device: string, link: Link, signal?: AbortSignal): Promise<KnownPeer> {
    const known = this.#known.get(device);
    // What was certified is taken no longer than the certificate lasts.
    if (known && this.#now() < known.expiresAt + CLOCK_TOLERANCE) return known;
    // A hundred connections at once ask once.
    let asking = this.#asking.get(device);
    if (!asking) {
      asking = link.peer(device).then((peer) => this.learn(device, peer));
      this.#asking.set(device, asking);
      asking.catch(() => {}).finally(() => this.#asking.delete(device));
    }
    return await untilAborted(asking, signal, `ask for ${device}`);
  }

  /**
   * Takes what a device shows, if the authority vouches for it.
   *
   * @throws {TunnelError} `refused` when it does not, or the key is not the one that is trusted
   */
  async learn(device: string, { credential, epoch }: Peer): Promise<KnownPeer> {
    const now = this.#now();
    const { role, name, agreement, expiresAt } = await this.#options.verifier.verify(
      credential,
      { now },
    );
    if (role !== "device" || name !== device) {
      throw new TunnelError("refused", {
        action: `check the identity of ${device}`,
        state: `the relay showed the credential of ${role} ${name}`,
        remedy: "the relay is not to be trusted: tell whoever runs it",
      });
    }
    await this.#options.trust?.(device, agreement);
    if (this.#known.size >= MAX_PEERS) this.#known.clear();
    const peer = { key: agreement.x, epoch, expiresAt };
    this.#known.set(device, peer);
    return peer;
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }
}
