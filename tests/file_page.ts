/** What a browser does with a large file of a device: takes it, or sends it, with its SHA-256. */

import { sha256 } from "@noble/hashes/sha2.js";
import { memoryStore } from "../core/member/memory_store.ts";
import { connect } from "../transports/runtime/browser.ts";

/** Reads a device's port to its end. */
export async function take(join: string, port: number) {
  await using fleet = await connect({ store: memoryStore(), join });
  await using stream = await fleet.dial("x", port);
  const hash = sha256.create();
  let bytes = 0;
  const began = performance.now();
  for await (const chunk of stream.readable) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const ms = performance.now() - began;
  return { bytes, hash: hash.digest().toHex(), transport: fleet.transport, ms };
}
