/**
 * The keys that records are sealed with, and by which cipher: ChaCha20-Poly1305, which is quick
 * everywhere, and AES-256-GCM for long ones where both ends are quicker with it. They agree on that
 * in the handshake, which nobody between them can read or alter.
 */

import type { CipherState } from "../noise/cipher_state.ts";
import { platformSuite } from "../noise/platform_suite.ts";
import type { Cipher } from "../noise/suite.ts";
import { malformed, type Welcome } from "./hello.ts";
import type { PathKeys } from "./path.ts";

/** The name that Noise has for AES-256-GCM (section 12.4). */
const AESGCM = "AESGCM";

/** AES-256-GCM of this end; null or undefined for none. */
export type AesGcm = Cipher | null | undefined;

/** What the service offers. */
export function offered(aesGcm: AesGcm): string[] | undefined {
  return aesGcm ? [AESGCM] : undefined;
}

/** What the device takes of an offer. */
export function chosen(aesGcm: AesGcm, offer: readonly string[] = []): Welcome["cipher"] {
  return aesGcm && offer.includes(AESGCM) ? AESGCM : undefined;
}

/** What a handshake leaves to one end. */
export interface HandshakeOutputs {
  readonly send: CipherState;
  readonly receive: CipherState;
  /** 32 bytes that only the two ends know. */
  readonly secret: Uint8Array;
  readonly initiator: boolean;
}

/**
 * The keys of a path.
 *
 * @param cipher what the device has chosen; undefined for ChaCha20-Poly1305
 * @throws {TunnelError} `protocol` when that was not offered
 */
export function recordKeys(
  { send, receive, secret, initiator }: HandshakeOutputs,
  cipher: Welcome["cipher"],
  aesGcm: AesGcm,
): PathKeys {
  if (cipher) {
    if (!aesGcm) throw malformed(`the cipher ${cipher} was not offered`);
    const both = platformSuite().hkdf(secret, LABEL, 2);
    const [service, device] = [both.slice(0, 32), both.slice(32)];
    send.useForLong(aesGcm, initiator ? service : device);
    receive.useForLong(aesGcm, initiator ? device : service);
  }
  return {
    send: { seal: (parts, target, offset) => send.seal(NONE, parts, target, offset) },
    receive: { open: (sealed) => receive.open(NONE, sealed) },
  };
}

const LABEL = new TextEncoder().encode("tunnel long 1");
const NONE = new Uint8Array(0);
