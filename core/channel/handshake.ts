/**
 * The handshake of a channel: Noise IK (25519, ChaChaPoly, SHA-256; Noise Protocol Framework,
 * revision 34) in the two messages that a dial has anyway.
 *
 *     service → device  e, es, s, ss   {credential, reason?, shared?, ciphers?, resume?}
 *     device  → service e, ee, se      {received, shared?, cipher?}
 *
 * The prologue is what the relay could alter: the device, the target, the device's epoch. Both ends
 * check each other's static key against a credential of the fleet's authority. The channel's ID is
 * the start of the handshake's hash; its secret, which a later attach must prove, comes of a third
 * output of the last key derivation (section 10.3 hints at such uses of the chaining key), and so
 * does a ticket for the next handshakes.
 */

import { base64url } from "jose";
import { concat } from "../bytes.ts";
import { TunnelError } from "../errors.ts";
import { Handshake } from "../noise/handshake.ts";
import { fastAesGcm } from "../noise/platform_suite.ts";
import type { StaticKey } from "../noise/static_key.ts";
import {
  bytesOf,
  decodePayload,
  encodePayload,
  Hello,
  prologueOf,
  type Said,
  type Subject,
  Welcome,
} from "./hello.ts";
import type { PathKeys } from "./path.ts";
import { type AesGcm, chosen, offered, recordKeys } from "./record_keys.ts";
import { derive, type Ticket } from "./tickets.ts";

export type { Said, Subject };

/** Who an endpoint is on channels. */
export interface ChannelIdentity {
  /** By the fleet's authority, for the key's public half. */
  readonly credential: string;
  readonly key: StaticKey;
  /** For long records; null for none, by default the platform's where it is fast. */
  readonly aesGcm?: AesGcm;
}

/** What it takes to attach to a channel that exists. */
export interface Resumption {
  readonly id: string;
  readonly secret: Uint8Array;
  /** Counts up with every attempt. */
  readonly attempt: number;
  /** The position that this end has received up to. */
  readonly received: number;
}

/** The outcome of a handshake. */
export interface Established {
  readonly keys: PathKeys;
  /** The channel's, if it is a new one: 16 bytes, base64url. */
  readonly id: string;
  /** 32 bytes that only the two ends know. */
  readonly secret: Uint8Array;
  /** The position that the peer has received up to. */
  readonly received: number;
  /** Both ends share the channel between connections. */
  readonly shared: boolean;
  /** For the next handshakes with the same peer; a full handshake has one. */
  readonly ticket?: Ticket;
}

/** The service's half: `hello` goes out, {@linkcode Initiation.finish} takes the answer. */
export interface Initiation {
  readonly hello: string;
  /**
   * @throws {TunnelError} `refused` when the answer is not of who holds the device's key, `protocol`
   * when it is malformed
   */
  finish(hello: string): Promise<Established>;
}

/** @param deviceKey X25519, 32 bytes in base64url */
export async function initiate(
  { credential, key, aesGcm = fastAesGcm() }: ChannelIdentity,
  deviceKey: string,
  subject: Subject,
  said: Said = {},
  resumption?: Resumption,
): Promise<Initiation> {
  const handshake = new Handshake({
    pattern: "IK",
    initiator: true,
    prologue: prologueOf(subject),
    staticKey: key,
    remoteStatic: base64url.decode(deviceKey),
  });
  const hello: Hello = { credential, ...said, ciphers: offered(aesGcm) };
  if (resumption) {
    const { id, secret, attempt, received } = resumption;
    const proof = await proofOf(secret, subject, attempt, received);
    hello.resume = { id, attempt, received, proof: base64url.encode(proof) };
  }
  const message = await handshake.writeMessage(encodePayload(hello));
  return {
    hello: base64url.encode(message),
    async finish(answer) {
      const payload = await handshake.readMessage(bytesOf(answer));
      return establish(handshake, decodePayload(Welcome, payload), { initiator: true, aesGcm });
    },
  };
}

/** The device's half: what the first message says, and the means to answer. */
export interface Response {
  /** The first message itself, base64url. */
  readonly hello: string;
  readonly credential: string;
  /** The static key that the service has proven to hold: X25519, base64url. */
  readonly remoteKey: string;
  /** What the operator has said that the dial is for. */
  readonly reason: string | undefined;
  /** It asks to share the channel between connections. */
  readonly shared: boolean;
  readonly resume: { id: string; attempt: number; received: number } | undefined;
  /** Whether the service knows the secret of the channel it wants to attach to. */
  proves(secret: Uint8Array): Promise<boolean>;
  /**
   * @param received the position that this end has received up to
   * @param shared this end shares the channel, as it is asked to
   */
  accept(received: number, shared?: boolean): Promise<{ hello: string; established: Established }>;
}

/**
 * Reads a service's first message; undefined when it was not made for this key and subject.
 *
 * @throws {TunnelError} `protocol` when it was, and says what no service says
 */
export async function respond(
  { key, aesGcm = fastAesGcm() }: ChannelIdentity,
  subject: Subject,
  hello: string,
): Promise<Response | undefined> {
  const prologue = prologueOf(subject);
  const handshake = new Handshake({ pattern: "IK", initiator: false, prologue, staticKey: key });
  let payload: Uint8Array;
  try {
    payload = await handshake.readMessage(bytesOf(hello));
  } catch (cause) {
    if (cause instanceof TunnelError) return undefined;
    throw cause;
  }
  const { credential, reason, shared = false, ciphers, resume } = decodePayload(Hello, payload);
  const cipher = chosen(aesGcm, ciphers);
  return {
    hello,
    credential,
    reason,
    shared,
    remoteKey: base64url.encode(handshake.remoteStatic!),
    resume,
    async proves(secret) {
      if (!resume) return false;
      const expected = await proofOf(secret, subject, resume.attempt, resume.received);
      return isEqual(expected, base64url.decode(resume.proof));
    },
    async accept(received, shared) {
      const message = await handshake.writeMessage(encodePayload({ received, shared, cipher }));
      const welcome = { received: resume?.received ?? 0, shared, cipher };
      return {
        hello: base64url.encode(message),
        established: establish(handshake, welcome, { initiator: false, aesGcm }),
      };
    },
  };
}

function establish(
  handshake: Handshake,
  { received, shared, cipher }: Welcome,
  { initiator, aesGcm }: { initiator: boolean; aesGcm: AesGcm },
): Established {
  const id = base64url.encode(handshake.handshakeHash.subarray(0, 16));
  const { send, receive, exported } = handshake.split();
  const { secret, ticket } = derive(exported);
  const keys = recordKeys({ send, receive, secret, initiator }, cipher, aesGcm);
  return { keys, id, secret, received, shared: shared === true, ticket };
}

/** HMAC-SHA-256 of the secret over what the attach is for and says. */
async function proofOf(
  secret: Uint8Array,
  subject: Subject,
  attempt: number,
  received: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const hash = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret.slice(), hash, false, ["sign"]);
  const text = new TextEncoder().encode(`resume\n${attempt}\n${received}\n`);
  const message = concat([text, prologueOf(subject)]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, message));
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  let different = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) different |= a[i]! ^ (b[i] ?? 0);
  return different === 0;
}
