/**
 * The short handshake: a new channel by the ticket of a handshake before, with no agreement on keys.
 *
 *     service → device  16 bytes ticket ID | u32 number | {reason?, shared?, ciphers?}, sealed
 *     device  → service 32 random bytes | {received, shared?, cipher?}, sealed
 *
 * The keys come of the ticket's, the number, the subject and the random bytes, by HKDF. No number is
 * used twice, and the device takes a first message once, so every channel has keys of its own.
 */

import { base64url } from "jose";
import { concat } from "../bytes.ts";
import { TunnelError } from "../errors.ts";
import { CipherState } from "../noise/cipher_state.ts";
import { fastAesGcm, platformSuite } from "../noise/platform_suite.ts";
import { TAG_LENGTH } from "../noise/suite.ts";
import type { Established, Initiation, Response } from "./handshake.ts";
import {
  bytesOf,
  decodePayload,
  encodePayload,
  malformed,
  prologueOf,
  type Said,
  ShortHello,
  type Subject,
  Welcome,
} from "./hello.ts";
import { type AesGcm, chosen, offered, recordKeys } from "./record_keys.ts";
import type { TakenTickets, Ticket } from "./tickets.ts";

/** Bytes in front of the first message's sealed part, and of the second's. */
const HEAD = 16 + 4;
const RANDOM = 32;

/**
 * The service's half.
 *
 * @param number how many dials have used the ticket before, up to 2^32 - 1
 * @param aesGcm as of a full handshake's identity
 */
export function initiateShort(
  { id, key }: Ticket,
  number: number,
  subject: Subject,
  said: Said = {},
  aesGcm: AesGcm = fastAesGcm(),
): Initiation {
  const head = new Uint8Array(HEAD);
  head.set(base64url.decode(id));
  new DataView(head.buffer).setUint32(16, number);
  const [helloKey, next] = outputs(key, concat([head, prologueOf(subject)]), 2);
  const payload: ShortHello = { ...said, ciphers: offered(aesGcm) };
  const hello = concat([head, seal(helloKey!, encodePayload(payload))]);
  return {
    hello: base64url.encode(hello),
    // deno-lint-ignore require-await -- what is thrown is a rejection
    async finish(answer) {
      const message = bytesOf(answer);
      if (message.length < RANDOM + TAG_LENGTH) throw malformed("its answer is cut short");
      const [welcomeKey, last] = outputs(next!, message.subarray(0, RANDOM), 2);
      const welcome = decodePayload(Welcome, open(welcomeKey!, message.subarray(RANDOM)));
      return establish(last!, { hello, message, initiator: true, aesGcm, ...welcome });
    },
  };
}

/** The device's half; undefined when the message is not one of a ticket that it takes. */
export function respondShort(
  tickets: TakenTickets,
  ownCredential: string,
  subject: Subject,
  text: string,
  aesGcm: AesGcm = fastAesGcm(),
): Response | undefined {
  const hello = bytesOf(text);
  if (hello.length < HEAD + TAG_LENGTH) return undefined;
  const found = tickets.find(base64url.encode(hello.slice(0, 16)), ownCredential);
  if (!found) return undefined;
  const { ticket, credential, remoteKey } = found;
  const material = concat([hello.subarray(0, HEAD), prologueOf(subject)]);
  const [helloKey, next] = outputs(ticket.key, material, 2);
  let payload: Uint8Array;
  try {
    payload = open(helloKey!, hello.subarray(HEAD));
  } catch (cause) {
    if (cause instanceof TunnelError) return undefined;
    throw cause;
  }
  const { reason, shared = false, ciphers } = decodePayload(ShortHello, payload);
  const cipher = chosen(aesGcm, ciphers);
  return {
    hello: text,
    credential,
    remoteKey,
    reason,
    shared,
    resume: undefined,
    proves: () => Promise.resolve(false),
    // deno-lint-ignore require-await -- as of a full handshake
    async accept(received, shared) {
      const random = crypto.getRandomValues(new Uint8Array(RANDOM));
      const [welcomeKey, last] = outputs(next!, random, 2);
      const message = concat([
        random,
        seal(welcomeKey!, encodePayload({ received, shared, cipher })),
      ]);
      const facts = { hello, message, received: 0, shared, cipher, initiator: false, aesGcm };
      const established = establish(last!, facts);
      return { hello: base64url.encode(message), established };
    },
  };
}

function establish(
  key: Uint8Array,
  { hello, message, received, shared, cipher, initiator, aesGcm }: Welcome & {
    hello: Uint8Array;
    message: Uint8Array;
    initiator: boolean;
    aesGcm: AesGcm;
  },
): Established {
  const [service, device, secret] = outputs(key, EMPTY, 3);
  const [mine, theirs] = initiator ? [service!, device!] : [device!, service!];
  const [send, receive] = [new CipherState(mine), new CipherState(theirs)];
  return {
    keys: recordKeys({ send, receive, secret: secret!, initiator }, cipher, aesGcm),
    id: base64url.encode(platformSuite().hash(hello, message).subarray(0, 16)),
    secret: secret!,
    received,
    shared: shared === true,
  };
}

/** HKDF-SHA-256 (RFC 5869) of `material`, salted with the key, with an empty info: 32 bytes each. */
function outputs(key: Uint8Array, material: Uint8Array, count: 2 | 3): Uint8Array[] {
  const all = platformSuite().hkdf(key, material, count);
  return Array.from({ length: count }, (_, i) => all.slice(i * 32, i * 32 + 32));
}

/** With a key that is used for nothing else. */
function seal(key: Uint8Array, payload: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(payload.length + TAG_LENGTH);
  new CipherState(key).seal(EMPTY, [payload], sealed, 0);
  return sealed;
}

function open(key: Uint8Array, sealed: Uint8Array): Uint8Array {
  try {
    return new CipherState(key).open(EMPTY, sealed);
  } catch (cause) {
    throw new TunnelError("refused", {
      action: "shake hands with the other end",
      state: "its message is not authentic: it was altered on the way",
      remedy: "dial again",
      cause,
    });
  }
}

const EMPTY = new Uint8Array(0);
