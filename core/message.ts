/**
 * Length-prefixed JSON messages, the form of the control stream and of a dial's header and answer:
 *
 *     u32 length (big-endian) | length bytes of UTF-8 JSON
 *
 * A reader states its limit, and a schema for every message it is ready to receive.
 */

import * as v from "valibot";
import type { ByteReader } from "./bytes.ts";
import { TunnelError } from "./errors.ts";

/** Bytes of JSON that a message may have once the peer is authenticated. */
export const MAX_MESSAGE = 64 * 1024;
/** Bytes of JSON that a message may have before that. */
export const MAX_GREETING = 8 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** @throws {TunnelError} `internal` when the message is larger than any reader takes */
export function encodeMessage(message: unknown): Uint8Array<ArrayBuffer> {
  const json = encoder.encode(JSON.stringify(message));
  if (json.length > MAX_MESSAGE) {
    throw new TunnelError("internal", {
      action: "send a message",
      state: `it has ${json.length} bytes, ${MAX_MESSAGE} is the most`,
    });
  }
  const bytes = new Uint8Array(4 + json.length);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, 4);
  return bytes;
}

/**
 * The next message; null when the stream ends in front of one.
 *
 * @throws {TunnelError} `protocol` when it is oversized, not JSON, or not of the schema; `reset` when
 * it is cut off
 */
export async function readMessage<S extends v.GenericSchema>(
  reader: ByteReader,
  schema: S,
  options: { action: string; limit?: number },
): Promise<v.InferOutput<S> | null> {
  const { action, limit = MAX_MESSAGE } = options;
  // A control stream waits here for as long as its session lasts.
  reader.rest();
  const head = await reader.readExactly(4);
  if (head === null) return null;
  const length = new DataView(head.buffer, head.byteOffset, 4).getUint32(0);
  if (length === 0 || length > limit) {
    throw malformed(action, `a message of ${length} bytes came, 1 to ${limit} are taken`);
  }
  const body = await reader.readExactly(length);
  if (body === null) {
    throw new TunnelError("reset", { action, state: "the stream ended inside a message" });
  }
  return decodeMessage(body, schema, action);
}

/** @throws {TunnelError} `protocol` when the bytes are not JSON or not of the schema */
export function decodeMessage<S extends v.GenericSchema>(
  body: Uint8Array,
  schema: S,
  action: string,
): v.InferOutput<S> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(body));
  } catch {
    // The cause would quote the message, and a secret with it.
    throw malformed(action, "a message is not JSON");
  }
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = v.getDotPath(issue) ?? "the message";
  // The value itself may be a secret, so only the place and the expectation are named.
  throw malformed(action, `${path} is not ${issue.expected ?? "of the agreed form"}`);
}

function malformed(action: string, state: string): TunnelError {
  return new TunnelError("protocol", {
    action,
    state,
    remedy: "check that both ends run versions that go together",
  });
}
