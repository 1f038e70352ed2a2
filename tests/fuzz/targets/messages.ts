/** The messages of control streams and dials: core/message.ts and every schema of core/control.ts. */

import type * as v from "valibot";
import { ByteReader, concat } from "../../../core/bytes.ts";
import {
  Answer,
  Challenge,
  Dial,
  Offer,
  Reply,
  Request,
  SignedIn,
  SignIn,
} from "../../../core/control.ts";
import { encodeMessage, MAX_GREETING, MAX_MESSAGE, readMessage } from "../../../core/message.ts";
import { bytes } from "../../text.ts";
import { Allocations } from "../allocations.ts";
import { chunked } from "../chunks.ts";
import { attempt, must, same } from "../expect.ts";
import { mutate } from "../mutate.ts";
import { mutateJson } from "../mutate_text.ts";
import type { Target } from "../target.ts";

/** Stands for every secret of a message. */
const SECRET = "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM";
/** Bytes that reading may set aside beyond what has come: one message of the largest size. */
const ALLOWANCE = MAX_MESSAGE + 4_096;

const nonce = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const epoch = "AAECAwQFBgcICQoLDA0ODw";
const hello = "Z13VdO13iTELPS52gfN5C0ZsdzsVIf7PNld5WDcepS_QPUiHjNjS0vUXWpPhD7xo";
const greeting = { version: 1, agent: "tunnel/0.1.0", instance: "0f8fad5bd9cb469fa16570" };
const key = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
const agreement = { ...key, crv: "X25519" };
const refused = { type: "refused", code: "offline", state: "it is away", remedy: "wait" };
const dialled = { port: 22, protocol: "tcp", epoch, hello };
const figures = { streams: 2, sent: 1_000, received: 5, roundTrip: 12.5 };
const info = {
  id: "pi-7",
  online: true,
  since: 1_767_225_600_000,
  transport: "quic",
  remote: "::1",
};

const hash = nonce;
const operator = { name: "night", since: 1, admin: true, approver: false, revokedAt: 1 };
const grant = {
  id: "abcdefgh",
  operator: "night",
  scope: "x:22",
  until: 2,
  at: 1,
  by: "local:root",
};

const SCHEMAS: Record<string, [schema: v.GenericSchema, samples: object[]]> = {
  challenge: [Challenge, [{ type: "challenge", versions: [1], nonce, agent: "tunnel/0.1.0" }]],
  "sign-in": [SignIn, [
    { type: "auth", ...greeting, proof: SECRET, epoch, credential: SECRET },
    { type: "join", ...greeting, proof: SECRET, secret: SECRET, key, agreement },
  ]],
  "signed-in": [SignedIn, [
    { type: "welcome", principal: { role: "operator", name: "night" }, credential: SECRET },
    refused,
  ]],
  request: [Request, [
    { type: "ping", id: 1, roundTrip: 2.5 },
    { type: "watch", id: 1 },
    { type: "unwatch", id: 2 },
    { type: "device", id: 2, device: "pi-7" },
    { type: "peer", id: 3, device: "pi-7" },
    { type: "devices", id: 4, after: "pi-7" },
    {
      type: "change",
      id: 5,
      change: { type: "grant", operator: "night", scope: "x:22", until: 1 },
    },
    { type: "operators", id: 6, after: "night" },
    { type: "grants", id: 7, operator: "night", after: "abcdefgh" },
    { type: "audit", id: 8, after: 1, before: 9, since: 1, device: "pi-7", limit: 5 },
    { type: "audit-check", id: 9 },
  ]],
  reply: [Reply, [
    { type: "pong", id: 1 },
    { type: "device", id: 2, device: info },
    { type: "peer", id: 3, credential: SECRET, epoch },
    { type: "devices", id: 4, devices: [info, { id: "x", online: false }], more: true },
    { type: "presence", id: 4, devices: [{ ...info, ...figures }], again: true },
    { ...refused, id: 5 },
    { type: "changed", id: 6, grants: [grant] },
    { type: "unchanged", id: 7, state: "there is no device x" },
    { type: "operators", id: 8, operators: [operator], more: false },
    { type: "grants", id: 9, grants: [grant], more: true },
    {
      type: "audit",
      id: 10,
      rows: [{ seq: 1, hash, at: 1, type: "dial", device: "x" }],
      more: true,
    },
    { type: "audit-check", id: 11, rows: 1, head: { seq: 1, hash }, broken: 1 },
  ]],
  dial: [Dial, [
    { type: "dial", device: "pi-7", ...dialled },
    { type: "dial", device: "pi-7", host: "printer.local", ...dialled, resume: true },
  ]],
  offer: [Offer, [{ type: "offer", operator: "night", ...dialled }]],
  answer: [Answer, [
    { type: "accepted", hello },
    { type: "stale", credential: SECRET, epoch },
    refused,
  ]],
};

export const messages: Target[] = Object.entries(SCHEMAS).map(([name, [schema, samples]]) => ({
  name: `message:${name}`,
  iterations: 250,
  make(random) {
    const frames = Array.from({ length: 1 + random.below(3) }, () => {
      const json = bytes(mutateJson(random.pick(samples), random));
      const length = new Uint8Array(4);
      new DataView(length.buffer).setUint32(0, json.length);
      return concat([length, json]);
    });
    const whole = concat(frames);
    return random.below(3) === 0 ? mutate(whole, random, samples.map(encodeMessage)) : whole;
  },
  async check(input) {
    const limit = input.length % 2 ? MAX_GREETING : MAX_MESSAGE;
    const reader = new ByteReader({ readable: chunked(input) });
    const options = { action: "fuzz", limit };
    const read = () => attempt(() => readMessage(reader, schema, options), CODES, [SECRET]);
    for (;;) {
      using allocations = new Allocations();
      const result = await read();
      must(allocations.bytes <= 2 * input.length + ALLOWANCE, `${allocations.bytes} bytes`);
      if ("error" in result || result.value === null) return;
      await sameAgain(schema, result.value);
    }
  },
}));

const CODES = ["protocol", "reset"] as const;

/** What was accepted is accepted again as it is encoded here, and means the same. */
async function sameAgain(schema: v.GenericSchema, value: unknown): Promise<void> {
  const reader = new ByteReader({ readable: chunked(encodeMessage(value)) });
  const again = await readMessage(reader, schema, { action: "fuzz" });
  // By their JSON, in which 0 and -0 are one.
  same(JSON.stringify(again), JSON.stringify(value), "encoded and read again");
  must(showable(value), "an instant of it cannot be shown as one");
}

/** Members that are times, to be shown as such. */
const INSTANTS = new Set(["since", "until", "at", "revokedAt", "expiresAt"]);

/** Whether every time in a message is one: the largest counts are beyond any date. */
function showable(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([name, member]) =>
    INSTANTS.has(name) ? !Number.isNaN(new Date(member).getTime()) : showable(member)
  );
}
