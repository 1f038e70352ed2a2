/** What a relay answers on a control stream, told from every byte that a client has sent on it. */

import * as v from "valibot";
import { Request, SignIn } from "../../core/control.ts";
import { MAX_GREETING, MAX_MESSAGE } from "../../core/message.ts";

/** The sign-ins that this relay is to accept. */
export interface Keys {
  readonly role: "device" | "operator";
  readonly name: string;
  readonly auth: { credential: string; proof: string };
  readonly join: { secret: string; proof: string; key: object; agreement: object };
}

/** Devices as the relay knows them. */
export const DEVICES: Record<string, "online" | "offline"> = { x: "online", off: "offline" };

/** The operator that joins. */
export const JOINER = "joiner";

export interface Expectation {
  /** What the control stream carries, each in few words. */
  readonly replies: readonly string[];
  readonly signedIn: boolean;
  /** The code that the relay closes the session with; undefined when it goes on. */
  readonly close?: number;
}

/** @param ended whether the client has ended the stream behind these bytes */
export function expected(bytes: Uint8Array, ended: boolean, keys: Keys): Expectation {
  const replies: string[] = [];
  let member: Pick<Keys, "role" | "name"> | undefined;
  let watches = false;
  for (let at = 0;;) {
    const limit = member ? MAX_MESSAGE : MAX_GREETING;
    const taken = nextMessage(bytes, at, limit);
    if (taken === "incomplete") {
      if (!ended) return { replies, signedIn: member !== undefined };
      return member ? { replies, signedIn: true, close: 0 } : refused("unavailable", 0);
    }
    if (taken === "violation") {
      return member ? { replies, signedIn: true, close: 4 } : refused("protocol", 4);
    }
    at = taken.end;
    if (member) {
      const request = v.safeParse(Request, taken.value);
      if (!request.success) return { replies, signedIn: true, close: 4 };
      const answer = answerTo(request.output, member, watches);
      if (member.role === "operator" && request.output.type === "watch") watches = true;
      if (request.output.type === "unwatch") watches = false;
      if (answer !== undefined) replies.push(answer);
      continue;
    }
    const signIn = v.safeParse(SignIn, taken.value);
    if (!signIn.success || signIn.output.version !== 1) return refused("protocol", 4);
    if (!isGood(signIn.output, keys)) return refused("refused", 3);
    member = signIn.output.type === "join" ? { role: "operator", name: JOINER } : keys;
    replies.push("welcome");
  }
}

/** The reply in the words of {@linkcode Expectation.replies}. */
export function inShort(reply: Record<string, unknown>): string {
  const { type, id, code } = reply;
  return [type, id, code].filter((part) => part !== undefined).join(" ");
}

function refused(code: string, close: number): Expectation {
  return { replies: [`refused ${code}`], signedIn: false, close };
}

/** The message at that place of what was said; incomplete ones wait for more. */
export function nextMessage(
  bytes: Uint8Array,
  at: number,
  limit: number,
): "incomplete" | "violation" | { value: unknown; end: number } {
  if (bytes.length - at < 4) return "incomplete";
  const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
  if (length === 0 || length > limit) return "violation";
  const end = at + 4 + length;
  if (bytes.length < end) return "incomplete";
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(at + 4, end));
    return { value: JSON.parse(text), end };
  } catch {
    // Not UTF-8 or not JSON: which of them makes no difference.
    return "violation";
  }
}

/** Whether every part that is proven is as it was proven. */
function isGood(signIn: v.InferOutput<typeof SignIn>, { auth, join }: Keys): boolean {
  const wanted: object = signIn.type === "auth" ? auth : join;
  return Object.entries(wanted).every(([name, value]) =>
    JSON.stringify(signIn[name as keyof typeof signIn]) === JSON.stringify(value)
  );
}

/** Undefined where the answer waits for somebody. */
function answerTo(
  request: v.InferOutput<typeof Request>,
  { role, name }: Pick<Keys, "role" | "name">,
  watches: boolean,
): string | undefined {
  // -0 is the number 0, and is repeated as that.
  const id = request.id + 0;
  const ofDevice = request.type === "approval" || request.type === "withdraw";
  if (request.type === "ping") return `pong ${id}`;
  if (request.type === "nonce") return `nonce ${id}`;
  // No script proves anything for one.
  if (request.type === "renew") return `refused ${id} refused`;
  if (role !== (ofDevice ? "device" : "operator")) return `refused ${id} refused`;
  if (request.type === "approval") return undefined;
  if (request.type === "withdraw") return `done ${id}`;
  if (request.type === "grants" && (request.operator ?? name) === name) return `grants ${id}`;
  if (request.type === "devices" || request.type === "approvals") return `${request.type} ${id}`;
  if (request.type === "watch") return watches ? `refused ${id} limit` : `done ${id}`;
  if (request.type === "unwatch") return `done ${id}`;
  if (request.type === "approve") return `refused ${id} gone`;
  // No script's operator is an admin.
  if (!("device" in request) || request.type === "audit") return `refused ${id} refused`;
  const known = Object.hasOwn(DEVICES, request.device) ? DEVICES[request.device] : undefined;
  if (known === undefined) return `refused ${id} unknown`;
  if (request.type === "device") return `device ${id}`;
  return known === "online" ? `peer ${id}` : `refused ${id} offline`;
}
