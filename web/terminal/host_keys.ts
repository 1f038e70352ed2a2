/** Host keys of SSH servers: trusted the first time, and held to from then on. */

import { clear, createStore, del, get, set } from "idb-keyval";
import { TunnelError } from "../../core/errors.ts";

const table = () => createStore("tunnel-host-keys", "keys");

/** What is kept of a server. */
export interface PinnedKey {
  /** `SHA256:` and base64 without padding, as OpenSSH shows it. */
  readonly fingerprint: string;
  /** "ecdsa-sha2-nistp256", "rsa-sha2-512". */
  readonly algorithm: string;
  /** When it was first seen, milliseconds since 1970. */
  readonly since: number;
}

/**
 * Compares a server's key with the one that it had, or keeps it where it had none.
 *
 * @param server `device:target`
 * @returns what is kept, and whether it was seen for the first time
 * @throws {TunnelError} `refused` when it has another key now
 */
export async function checkHostKey(
  server: string,
  key: Omit<PinnedKey, "since">,
): Promise<{ pinned: PinnedKey; isNew: boolean }> {
  const pinned = await get<PinnedKey>(server, table());
  if (!pinned) {
    const made = { ...key, since: Date.now() };
    await set(server, made, table());
    return { pinned: made, isNew: true };
  }
  if (pinned.fingerprint === key.fingerprint) return { pinned, isNew: false };
  throw new TunnelError("refused", {
    action: `log in to ${server}`,
    state: `its host key is ${key.fingerprint} now and was ${pinned.fingerprint}`,
    remedy: "find out why; if the server was set up anew, forget the old key",
  });
}

/** Forgets the key of a server. */
export async function forgetHostKey(server: string): Promise<void> {
  await del(server, table());
}

/** Forgets all. */
export async function forgetHostKeys(): Promise<void> {
  await clear(table());
}

/** As OpenSSH shows it: the SHA-256 of the key's bytes in the protocol (RFC 4253, section 6.6). */
export async function fingerprintOf(key: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(key)));
  return `SHA256:${btoa(String.fromCharCode(...digest)).replace(/=+$/, "")}`;
}
