/** What service and device say to each other in the two messages of a handshake, and about what. */

import { base64url } from "jose";
import * as v from "valibot";
import { Reason } from "../control.ts";
import { TunnelError } from "../errors.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const bytes16 = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{22}$/, "16 bytes in base64url"));
const bytes32 = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, "32 bytes in base64url"));

/** What the service says of a dial, in the first message of either handshake. */
export const Said = v.object({
  /** What the operator has said that the dial is for. */
  reason: v.optional(Reason),
  /** The channel is to carry many connections (`core/shared/`). */
  shared: v.optional(v.boolean()),
});
export type Said = v.InferOutput<typeof Said>;

/** The first message of a short handshake. */
export const ShortHello = v.object({
  ...Said.entries,
  /** What long records may go by; a device passes over what it does not know. */
  ciphers: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(32))), v.maxLength(8))),
});
export type ShortHello = v.InferOutput<typeof ShortHello>;

/** The first message of a full handshake. */
export const Hello = v.object({
  credential: v.pipe(v.string(), v.maxLength(4_096)),
  ...ShortHello.entries,
  /** The channel to attach to, where it is not a new one. */
  resume: v.optional(v.object({ id: bytes16, attempt: count, received: count, proof: bytes32 })),
});
export type Hello = v.InferOutput<typeof Hello>;

/** What the device says in the second: whether it shares the channel, too, and the cipher that it takes. */
export const Welcome = v.object({
  received: count,
  shared: v.optional(v.boolean()),
  cipher: v.optional(v.literal("AESGCM")),
});
export type Welcome = v.InferOutput<typeof Welcome>;

/** What both ends must mean the same by. */
export interface Subject {
  readonly device: string;
  readonly host?: string;
  readonly port: number;
  readonly protocol: "tcp";
  readonly epoch: string;
}

/** No field can hold a line feed: each is a name, a number or base64url. */
export function prologueOf({ device, host, port, protocol, epoch }: Subject): Uint8Array {
  const fields = ["tunnel channel 1", device, epoch, protocol, host ?? "", port];
  return new TextEncoder().encode(fields.join("\n"));
}

export function encodePayload(payload: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(payload));
}

/** @throws {TunnelError} `protocol` */
export function decodePayload<S extends v.GenericSchema>(
  schema: S,
  payload: Uint8Array,
): v.InferOutput<S> {
  try {
    return v.parse(schema, JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)));
  } catch {
    // The cause would quote the payload, and the proof of a channel's secret with it.
    throw malformed("its payload is not of the agreed form");
  }
}

/** The bytes of a message. @throws {TunnelError} `protocol` */
export function bytesOf(message: string): Uint8Array {
  try {
    return base64url.decode(message);
  } catch (cause) {
    throw malformed("a message is not base64url", cause);
  }
}

export function malformed(state: string, cause?: unknown): TunnelError {
  return new TunnelError("protocol", {
    action: "read a handshake",
    state,
    remedy: "check that both ends run versions that go together",
    cause,
  });
}
