/**
 * The messages of the control stream and of a dial (docs/PROTOCOL.md, "Control" and "Dial"). The
 * relay opens the control stream and speaks first, so that a sign-in costs one round trip:
 *
 *     relay  → challenge {versions, nonce}
 *     client → auth {version, credential, proof} | join {version, secret, key, proof}
 *     relay  → welcome {principal, credential?} | refused {code, message}
 *
 * Unknown fields are ignored, unknown messages are an error: a new message needs a new version.
 */

import * as v from "valibot";
import { AdminReply, AdminRequest } from "./admin_messages.ts";
import { AgreementJwk, BASE64URL_32, PublicJwk } from "./identity/keys.ts";
import { MAX_REASON, REASON } from "./names.ts";

/** Protocol versions this build speaks, best first. */
export const VERSIONS: readonly number[] = [1];

/** Milliseconds, at most, over which devices spread their return. */
export const MAX_SPREAD = 60_000;

const text = (most: number) => v.pipe(v.string(), v.maxLength(most));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Milliseconds since 1970, up to the last instant that a date can be (ECMA-262, "Time Values"). */
const instant = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(8.64e15));
/** At most ten minutes. */
const milliseconds = v.pipe(v.number(), v.minValue(0), v.maxValue(600_000));
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const name = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "a name"));
const role = v.picklist(["device", "operator"]);
const token = text(4_096);
/** 16 random bytes that a device counts its dials by; see `core/channel/freshness.ts`. */
const epoch = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{22}$/, "16 bytes in base64url"));
/** 32 random bytes of the relay's, base64url. */
const nonce = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, "32 bytes in base64url"));
/** A Noise message, base64url. */
const handshake = v.pipe(text(6_700), v.regex(/^[A-Za-z0-9_-]+$/, "base64url"));

const digest = v.pipe(v.string(), v.regex(BASE64URL_32, "32 bytes in base64url"));
/** What people name a dial by; see `core/identity/decision.ts`. */
const dialId = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/, "16 hexadecimal digits"));

/** Why an operator dials, in their own words. */
export const Reason = v.pipe(text(MAX_REASON), v.regex(REASON, "a line of text"));

/** How a refusal is classed; a subset of `ErrorCode`. */
export const RefusalCode = v.picklist([
  "refused",
  "unknown",
  "offline",
  "target",
  "timeout",
  "limit",
  "protocol",
  "unavailable",
  "gone",
]);

export const Refused = v.object({
  type: v.literal("refused"),
  code: RefusalCode,
  state: text(300),
  remedy: v.optional(text(300)),
});
export type Refused = v.InferOutput<typeof Refused>;

export const Challenge = v.object({
  type: v.literal("challenge"),
  versions: v.pipe(v.array(count), v.minLength(1), v.maxLength(16)),
  /** Good for this session alone. */
  nonce,
  agent: text(100),
});

const greeting = {
  version: count,
  agent: text(100),
  /** Names the running process: a device's second session with the same one replaces nobody. */
  instance: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{8,64}$/, "8 to 64 letters")),
  proof: token,
  /** A device's; those who dial it need it. */
  epoch: v.optional(epoch),
};

export const SignIn = v.variant("type", [
  v.object({ type: v.literal("auth"), ...greeting, credential: token }),
  v.object({
    type: v.literal("join"),
    ...greeting,
    secret: text(100),
    /** The joiner's public key, a JWK. */
    key: PublicJwk,
    /** The joiner's public key for channels, a JWK. */
    agreement: AgreementJwk,
  }),
]);
export type SignIn = v.InferOutput<typeof SignIn>;

export const Principal = v.object({ role, name });
export type Principal = v.InferOutput<typeof Principal>;

export const SignedIn = v.variant("type", [
  v.object({
    type: v.literal("welcome"),
    principal: Principal,
    /** After a join: what to sign in with from now on. */
    credential: v.optional(token),
    /** Milliseconds over which the relay's devices are to spread when all of them come back. */
    spread: v.optional(v.pipe(count, v.maxValue(MAX_SPREAD))),
    /** Streams that an operator may have open on this session at once. */
    places: v.optional(v.pipe(count, v.minValue(1), v.maxValue(1_000))),
  }),
  Refused,
]);

const target = {
  /** A host beside the device; the device itself when absent. */
  host: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(253))),
  port,
  protocol: v.literal("tcp"),
};

/** A dial that a device asks operators about: all that they are shown, and what they sign. */
const asked = {
  /** Who dials. */
  operator: name,
  ...target,
  reason: v.optional(Reason),
  epoch,
  /** The SHA-256 of its hello, base64url. */
  hello: digest,
};

/** The same as the relay shows it. Times are milliseconds since 1970. */
export const WaitingDial = v.object({ device: name, ...asked, since: count, until: count });
export type WaitingDial = v.InferOutput<typeof WaitingDial>;

/** What an operator has decided, signed (`core/identity/decision.ts`), and who that is. */
export const Decision = v.object({ decision: text(1_024), credential: token });
export type Decision = v.InferOutput<typeof Decision>;

/** What a client asks on the control stream; answered in any order, by `id`. */
export const Request = v.variant("type", [
  v.object({
    type: v.literal("ping"),
    id: count,
    /** A device's, as it last measured it. */
    roundTrip: v.optional(milliseconds),
  }),
  v.object({ type: v.literal("device"), id: count, device: name }),
  /** What it takes to dial a device. */
  v.object({ type: v.literal("peer"), id: count, device: name }),
  v.object({
    type: v.literal("devices"),
    id: count,
    /** Devices whose ID sorts after this one. */
    after: v.optional(name),
  }),
  /** Has changes of devices told from now on, by `presence`. */
  v.object({ type: v.literal("watch"), id: count }),
  v.object({ type: v.literal("unwatch"), id: count }),
  /** A device has operators decide about a dial; answered when one has. Milliseconds that they have. */
  v.object({ type: v.literal("approval"), id: count, ...asked, timeout: count }),
  /** The dial was given up. */
  v.object({ type: v.literal("withdraw"), id: count, hello: digest }),
  v.object({
    type: v.literal("approvals"),
    id: count,
    /** Dials whose ID sorts after this one. */
    after: v.optional(dialId),
  }),
  v.object({
    type: v.literal("approve"),
    id: count,
    dial: dialId,
    /** As in the decision, which is for the device to read. */
    accept: v.boolean(),
    ...Decision.entries,
  }),
  /** For the proofs of one renewal. */
  v.object({ type: v.literal("nonce"), id: count }),
  v.object({
    type: v.literal("renew"),
    id: count,
    /** What is to be renewed; it still holds. */
    credential: token,
    /** By the key of that credential. */
    proof: token,
    /** Keys that the new one is to be for, where they are not the same, and a proof by the first. */
    rotate: v.optional(v.object({ key: PublicJwk, agreement: AgreementJwk, proof: token })),
  }),
  ...AdminRequest.options,
]);
export type Request = v.InferOutput<typeof Request>;
export type Renew = Extract<Request, { type: "renew" }>;

/** A device as `tunnel devices` shows it. Times are milliseconds since 1970. */
export const DeviceInfo = v.object({
  id: name,
  online: v.boolean(),
  /** Online: since when. Offline: when it was last here, if ever. */
  since: v.optional(instant),
  transport: v.optional(text(20)),
  remote: v.optional(text(100)),
  /** Of one that is online: the connections it has. */
  streams: v.optional(count),
  /** Bytes that it sent on them and got since it came, as the relay carries them. */
  sent: v.optional(count),
  received: v.optional(count),
  /** Milliseconds from it to the relay and back, as it last told. */
  roundTrip: v.optional(milliseconds),
});
export type DeviceInfo = v.InferOutput<typeof DeviceInfo>;

/** What has changed since a `watch`, whose `id` it has: not an answer, and any number of them. */
export const PresenceChange = v.object({
  type: v.literal("presence"),
  id: count,
  /** Those that have changed, as they are now. */
  devices: v.array(DeviceInfo),
  /** More has changed than is told: the list is to be read anew. */
  again: v.optional(v.boolean()),
});
export type PresenceChange = v.InferOutput<typeof PresenceChange>;

/** What a device shows to those who dial it. */
export const Peer = v.object({ credential: token, epoch });
export type Peer = v.InferOutput<typeof Peer>;

export const Reply = v.variant("type", [
  v.object({
    type: v.literal("pong"),
    id: count,
    /** To a device: as in `welcome`, for the devices that there are by now. */
    spread: v.optional(v.pipe(count, v.maxValue(MAX_SPREAD))),
  }),
  v.object({ type: v.literal("peer"), id: count, ...Peer.entries }),
  v.object({ type: v.literal("device"), id: count, device: DeviceInfo }),
  v.object({
    type: v.literal("devices"),
    id: count,
    devices: v.array(DeviceInfo),
    /** There is more: ask again with `after` being `next`. */
    more: v.boolean(),
    next: v.optional(name),
  }),
  v.object({ type: v.literal("decision"), id: count, ...Decision.entries }),
  v.object({
    type: v.literal("approvals"),
    id: count,
    dials: v.array(WaitingDial),
    more: v.boolean(),
  }),
  PresenceChange,
  v.object({ type: v.literal("done"), id: count }),
  v.object({ type: v.literal("nonce"), id: count, nonce }),
  v.object({ type: v.literal("renewed"), id: count, credential: token }),
  ...AdminReply.options,
  v.object({ ...Refused.entries, id: count }),
]);
export type Reply = v.InferOutput<typeof Reply>;

/** What service and device say to each other in a dial; a relay only hands it on. */
const channel = {
  /** The device's epoch that the hello was made for. */
  epoch,
  /** The first message of the handshake. */
  hello: handshake,
  /** As in the first message, which the device holds it to. */
  reason: v.optional(Reason),
};

/** Opens a stream for one connection to a target, as the service sends it to the relay. */
export const Dial = v.object({
  type: v.literal("dial"),
  device: name,
  ...target,
  ...channel,
  /** The stream is for a channel that exists: a device that is away for a moment is waited for. */
  resume: v.optional(v.boolean()),
  /** The channel is to carry many connections, if relay and device agree. */
  shared: v.optional(v.boolean()),
});
export type Dial = v.InferOutput<typeof Dial>;

/** The same as the relay sends it to the device. */
export const Offer = v.object({
  type: v.literal("offer"),
  operator: name,
  ...target,
  ...channel,
  /** Connections that the channel may carry at once, where it is to carry many and the relay agrees. */
  shared: v.optional(count),
});
export type Offer = v.InferOutput<typeof Offer>;

/** Ends a channel for good, because its operator may not use it any more. */
export const End = v.object({
  type: v.literal("end"),
  /** The start of the hello of its latest offer: the ephemeral key, 32 bytes in base64url. */
  hello: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, "43 characters of base64url")),
  /** Why. */
  state: text(300),
});
export type End = v.InferOutput<typeof End>;

/** What a relay opens a stream to a device with. */
export const FromRelay = v.variant("type", [Offer, End]);

/** What device or relay says to a dial. After `accepted` the stream carries records. */
export const Answer = v.variant("type", [
  /** With the second message of the handshake. */
  v.object({ type: v.literal("accepted"), hello: handshake }),
  /** Somebody is asked; another answer follows. Milliseconds that they have. */
  v.object({ type: v.literal("pending"), timeout: count }),
  /** The hello was made for another epoch or key of the device: dial again with these. */
  v.object({ type: v.literal("stale"), ...Peer.entries }),
  Refused,
]);
export type Answer = v.InferOutput<typeof Answer>;
