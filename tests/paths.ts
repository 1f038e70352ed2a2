/** Paths for tests of channels: a sealed stream, and a relay in the middle that a test may drive. */

import { BlockReader } from "../core/block_reader.ts";
import { ByteWriter } from "../core/byte_writer.ts";
import { CipherState } from "../core/noise/cipher_state.ts";
import { Path, type PathKeys } from "../core/channel/path.ts";
import type { Stream } from "../core/transport.ts";
import { memoryPair, type MemorySession } from "../transports/memory.ts";

/** Two ends of a new path. */
export interface PathPair {
  readonly near: Path;
  readonly far: Path;
  /** Losing it loses the path. */
  readonly session: MemorySession;
}

/** The keys of both ends, as a handshake would have made them. */
export function keyPair(): [near: PathKeys, far: PathKeys] {
  const [up, down] = [randomKey(), randomKey()];
  return [keys(up, down), keys(down, up)];
}

/** A path over a stream in memory. */
export async function pathPair(): Promise<PathPair> {
  const [nearKeys, farKeys] = keyPair();
  const { near, far, session } = await streamPair();
  return { near: pathOver(near, nearKeys), far: pathOver(far, farKeys), session };
}

/** Both ends of a stream in memory. */
export async function streamPair(): Promise<{ near: Stream; far: Stream; session: MemorySession }> {
  const [session, peer] = memoryPair();
  const near = await session.openStream();
  const far = (await peer.incoming.next()).value!;
  return { near, far, session };
}

export function pathOver(stream: Stream, keys: PathKeys): Path {
  return new Path({ reader: new BlockReader(stream), writer: new ByteWriter(stream), keys });
}

function keys(send: Uint8Array, receive: Uint8Array): PathKeys {
  const [sealing, opening] = [new CipherState(send), new CipherState(receive)];
  const none = new Uint8Array(0);
  return {
    send: { seal: (parts, target, offset) => sealing.seal(none, parts, target, offset) },
    receive: { open: (sealed) => opening.open(none, sealed) },
  };
}

function randomKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}
