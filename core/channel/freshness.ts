/**
 * Keeps a device from being dialled twice by one hello. The first message of a handshake proves who
 * made it but not when, so a relay could replay one and have the device open a port. Clocks are no
 * help, because a device's may be years off. So a device names an epoch, 16 random bytes that every
 * hello is made for, and remembers the hellos of that epoch. When it remembers enough it names
 * another; who comes with the old one is told the new and comes again.
 */

import { base64url } from "jose";
import { TunnelError } from "../errors.ts";

/** Hellos remembered at most. */
const MAX_SEEN = 16_384;
/** Characters of a hello that tell it from every other: 32 bytes, the ephemeral key. */
const KEY = 43;

/** What names a hello. */
export function keyOfHello(hello: string): string {
  return hello.slice(0, KEY);
}

export class Freshness {
  readonly #maxSeen: number;
  readonly #seen = new Set<string>();
  #epoch = newEpoch();

  constructor(maxSeen: number = MAX_SEEN) {
    this.#maxSeen = maxSeen;
  }

  /** What a hello must be made for, base64url. */
  get epoch(): string {
    return this.#epoch;
  }

  /**
   * Takes note of a hello that was verified for that epoch. False when the epoch is over: while a
   * hello is verified others come, and a copy of the one that ended the epoch may be among them.
   *
   * @throws {TunnelError} `refused` when it has come before
   */
  admit(hello: string, epoch: string): boolean {
    if (epoch !== this.#epoch) return false;
    const key = keyOfHello(hello);
    if (this.#seen.has(key)) {
      throw new TunnelError("refused", {
        action: "serve a dial",
        state: "it is a copy of one that came before",
      });
    }
    this.#seen.add(key);
    if (this.#seen.size >= this.#maxSeen) {
      this.#seen.clear();
      this.#epoch = newEpoch();
    }
    return true;
  }
}

function newEpoch(): string {
  return base64url.encode(crypto.getRandomValues(new Uint8Array(16)));
}
