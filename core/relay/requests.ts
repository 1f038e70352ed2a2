/** What a signed-in client may ask on its control stream. */

import type { Bucket } from "../bucket.ts";
import { type Renew, type Reply, Request, type WaitingDial } from "../control.ts";
import type { MessageStream } from "../control_stream.ts";
import { formatTarget } from "../allow.ts";
import { describe as explain, toTunnelError, TunnelError } from "../errors.ts";
import type { Issued, Role } from "../identity/credential.ts";
import { toRefusal } from "../refusal.ts";
import { type AdminContext, administer } from "./admin.ts";
import type { Approvals, MayApprove } from "./approvals.ts";
import type { AuditLog } from "./audit_log.ts";
import { pastDevice } from "./device_info.ts";
import { absentDevice, unknownDevice } from "./dial.ts";
import type { RelayMetrics } from "./metrics.ts";
import type { Presences } from "./presences.ts";
import type { Refusals } from "./refusals.ts";
import type { Registry } from "./registry.ts";
import type { Renewals } from "./renewals.ts";
import { spreadOf } from "./spread.ts";
import { Watching } from "./watching.ts";

/** Devices in one answer; the message then stays well under its limit. */
const PAGE = 128;
/** Requests of a client that wait for decisions; with more it waits itself. */
const MOST_WAITING = 64;
/** Waiting dials in one answer: each may have a long reason. */
const DIALS_PAGE = 32;

export interface RequestContext extends AdminContext {
  /** Who asks: the fleet is no business of a device. */
  readonly role: Role;
  readonly audit: Pick<AuditLog, "record">;
  readonly registry: Pick<Registry, "find">;
  readonly presences: Presences;
  readonly approvals: Approvals;
  readonly mayApprove: MayApprove;
  /** Milliseconds that a dial may wait for a decision at most. */
  readonly approvalTimeout: number;
  /** How often this control stream may ask. */
  readonly rate: Bucket;
  readonly metrics: Pick<RelayMetrics, "requests">;
  readonly refusals: Refusals;
  readonly renewals: Renewals;
  /** Who asks has a newer credential from now on. */
  readonly onRenewed: (issued: Issued) => void;
}

type Of<T extends Request["type"]> = Extract<Request, { type: T }>;

/**
 * Answers requests in their order until the client ends the stream; those that wait for a decision
 * when there is one.
 */
export async function serveRequests(
  control: MessageStream,
  context: RequestContext,
): Promise<void> {
  let ending: AbortController | undefined;
  // Made for the first who waits: thousands of idle sessions need no signal of their own.
  const over = () => (ending ??= new AbortController()).signal;
  const watching = new Watching(control, context, over);
  let waiting = 0;
  try {
    for (;;) {
      await control.arrival();
      const request = await control.receiveOrEnd(Request, { action: "serve the control stream" });
      if (request === null) return;
      const replying = answerWithinRate(request, context, over, watching)
        .catch((cause) => refusal(cause, request.id))
        .then((reply) => control.send(reply));
      if (request.type !== "approval" || waiting >= MOST_WAITING) {
        await replying;
        continue;
      }
      waiting++;
      replying.catch((cause) => {
        context.log.debug("a decision was not told", { device: context.name, why: explain(cause) });
      }).finally(() => waiting--);
    }
  } finally {
    ending?.abort(new TunnelError("closed", { action: "wait", state: "the session has ended" }));
  }
}

async function answerWithinRate(
  request: Request,
  context: RequestContext,
  over: () => AbortSignal,
  watching: Watching,
): Promise<Reply> {
  const { rate, metrics, refusals } = context;
  metrics.requests.of(request.type).add();
  if (rate.take()) return await answer(request, context, over, watching);
  throw refusals.refuse("requests", `answer ${request.type}`, "this session asks too often");
}

async function answer(
  request: Request,
  context: RequestContext,
  over: () => AbortSignal,
  watching: Watching,
): Promise<Reply> {
  const { id } = request;
  if (request.type === "ping") return ping(request, context);
  if (request.type === "nonce") return { type: "nonce", id, nonce: context.renewals.nonce() };
  if (request.type === "renew") return await renew(request, context);
  if (request.type === "approval" || request.type === "withdraw") {
    if (context.role !== "device") throw onlyFor("a device");
    return request.type === "approval"
      ? await haveDecided(request, context, over())
      : withdraw(request, context);
  }
  if (context.role !== "operator") throw onlyFor("an operator");
  switch (request.type) {
    case "device":
      return await oneDevice(request, context);
    case "peer":
      return await peer(request, context);
    case "devices":
      return await devices(request, context);
    case "watch":
      return watching.start(id);
    case "unwatch":
      return watching.stop(id);
    case "approvals":
      return await waitingDials(request, context);
    case "approve":
      return await decide(request, context);
    default:
      return await administer(request, context);
  }
}

function ping({ id, roundTrip }: Of<"ping">, context: RequestContext): Reply {
  const { role, name, presences, access } = context;
  if (role !== "device") return { type: "pong", id };
  if (roundTrip !== undefined) presences.measured(name, roundTrip);
  return { type: "pong", id, spread: spreadOf(access.devices) };
}

async function oneDevice({ id, device }: Of<"device">, context: RequestContext) {
  const { store, presences, access, name } = context;
  // Who may not dial a device is not told whether there is one.
  await access.checkMayKnow(name, device);
  const known = await store.device(device);
  if (!known) throw unknownDevice(device);
  return { type: "device", id, device: presences.find(known.name) ?? pastDevice(known) } as const;
}

async function peer({ id, device }: Of<"peer">, context: RequestContext): Promise<Reply> {
  const { store, registry, access, name } = context;
  await access.checkMayKnow(name, device);
  const peer = registry.find(device)?.peer;
  if (peer) return { type: "peer", id, ...peer };
  throw await absentDevice(device, store);
}

/** Those that the operator may know of; a page may have few of them, or none, and yet not be the last. */
async function devices({ id, after }: Of<"devices">, context: RequestContext) {
  const { store, presences, access, name } = context;
  await access.refresh();
  const page = await store.devices({ after, limit: PAGE + 1 });
  const seen = page.slice(0, PAGE);
  const devices = seen.filter((device) => access.mayKnow(name, device.name))
    .map((device) => presences.find(device.name) ?? pastDevice(device));
  const more = page.length > PAGE;
  return { type: "devices", id, devices, more, ...(more && { next: seen.at(-1)!.name }) } as const;
}

/** Keeps a device's dial until an operator has decided about it. */
async function haveDecided(
  { id, type: _, timeout, ...asked }: Of<"approval">,
  { name, approvals, approvalTimeout, now, log }: RequestContext,
  over: AbortSignal,
): Promise<Reply> {
  const since = now();
  const until = since + Math.min(timeout, approvalTimeout);
  const facts = { device: name, operator: asked.operator, target: formatTarget(asked) };
  log.info("dial waits for approval", { ...facts, reason: asked.reason });
  const { decision, credential } = await approvals.keep(
    { device: name, ...asked, since, until },
    over,
  );
  return { type: "decision", id, decision, credential };
}

function withdraw({ id, hello }: Of<"withdraw">, { name, approvals }: RequestContext): Reply {
  approvals.withdraw(name, hello);
  return { type: "done", id };
}

async function waitingDials({ id, after }: Of<"approvals">, context: RequestContext) {
  const dials: WaitingDial[] = [];
  for (const dial of context.approvals.list(after)) {
    if (!await mayDecide(dial, context)) continue;
    if (dials.length === DIALS_PAGE) return { type: "approvals", id, dials, more: true } as const;
    dials.push(dial);
  }
  return { type: "approvals", id, dials, more: false } as const;
}

/** Passes a decision on to the device, if it is of somebody who may make one. */
async function decide(request: Of<"approve">, context: RequestContext): Promise<Reply> {
  const { id, accept, decision, credential } = request;
  const { name, from, approvals, audit, log } = context;
  const dial = approvals.find(request.dial);
  // Who may not decide about a dial is not told that there is one.
  if (dial && await mayDecide(dial, context)) {
    approvals.decide(request.dial, { decision, credential });
    const { device, operator } = dial;
    const facts = { device, operator, target: formatTarget(dial), by: name };
    log.info(accept ? "dial approved" : "dial denied", facts);
    audit.record({
      type: "approval",
      by: `operator:${name}`,
      from,
      device,
      operator,
      target: facts.target,
      reason: dial.reason,
      detail: accept ? "approved" : "denied",
    });
    return { type: "done", id };
  }
  throw new TunnelError("gone", {
    action: "decide about a dial",
    state: `no dial ${request.dial} waits for a decision of operator ${name}`,
    remedy: "see `tunnel approvals` for those that do",
  });
}

async function mayDecide(dial: WaitingDial, context: RequestContext): Promise<boolean> {
  return dial.operator !== context.name && await context.mayApprove(context.name, dial);
}

/** What the client is told; a defect of ours is not for it. */
function refusal(cause: unknown, id: number): Reply {
  if (cause instanceof TunnelError) return { ...toRefusal(cause), id };
  throw cause;
}

function onlyFor(whom: string): TunnelError {
  return new TunnelError("refused", {
    action: "serve a request",
    state: `only ${whom} may ask for this`,
  });
}

async function renew(request: Renew, context: RequestContext): Promise<Reply> {
  const { renewals, onRenewed, log } = context;
  const { id } = request;
  try {
    const issued = await renewals.renew(request);
    onRenewed(issued);
    return { type: "renewed", id, credential: issued.token };
  } catch (cause) {
    const error = toTunnelError(cause, "renew the credential", "internal");
    log.warn("credential not renewed", { why: error.message });
    return { ...toRefusal(error), id };
  }
}
