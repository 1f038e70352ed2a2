/** Private keys that an operator pastes or picks: PEM of RSA and ECDSA, OpenSSH's form of Ed25519. */

import { type KeyPair, SshDataReader } from "@microsoft/dev-tunnels-ssh";
import { importKey } from "@microsoft/dev-tunnels-ssh-keys";
import { Buffer } from "buffer";
import { TunnelError } from "../../core/errors.ts";
import { Ed25519KeyPair } from "./ed25519.ts";

const OPENSSH = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END OPENSSH/;
const MAGIC = "openssh-key-v1\0";

/** @throws {TunnelError} `usage`; neither the message nor its causes show any of the key */
export async function readPrivateKey(text: string): Promise<KeyPair> {
  const openssh = OPENSSH.exec(text);
  try {
    return openssh ? await readOpenSsh(Buffer.from(openssh[1]!, "base64")) : await importKey(text);
  } catch (cause) {
    if (cause instanceof TunnelError) throw cause;
    throw unreadable("it is in no form that this console reads");
  }
}

/** The form of `ssh-keygen`, as OpenSSH's PROTOCOL.key has it: one key, without a passphrase. */
async function readOpenSsh(bytes: Buffer): Promise<KeyPair> {
  if (bytes.subarray(0, MAGIC.length).toString("latin1") !== MAGIC) {
    throw unreadable("it is damaged");
  }
  const outer = new SshDataReader(bytes.subarray(MAGIC.length) as Buffer);
  const cipher = outer.readString("ascii");
  if (cipher !== "none") throw unreadable("it is protected by a passphrase");
  outer.readString("ascii");
  outer.readBinary();
  if (outer.readUInt32() !== 1) throw unreadable("it is not one key");
  outer.readBinary();
  const inner = new SshDataReader(outer.readBinary());
  if (inner.readUInt32() !== inner.readUInt32()) throw unreadable("it is damaged");
  const algorithm = inner.readString("ascii");
  if (algorithm !== "ssh-ed25519") throw unreadable(`it is ${algorithm} in OpenSSH's form`);
  const key = new Uint8Array(inner.readBinary());
  const seed = new Uint8Array(inner.readBinary().subarray(0, 32));
  return await Ed25519KeyPair.of(key, seed);
}

function unreadable(state: string): TunnelError {
  return new TunnelError("usage", {
    action: "read the private key",
    state,
    remedy: "give one of Ed25519 without a passphrase, or PEM: ssh-keygen -p -m PEM -f COPY",
  });
}
