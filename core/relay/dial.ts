/** One dial at the relay: an operator's stream, joined to a new stream of the device it names. */

import { keyOfHello } from "../channel/freshness.ts";
import { Answer, Dial } from "../control.ts";
import { MessageStream } from "../control_stream.ts";
import { withDeadline } from "../deadline.ts";
import { describe, toTunnelError, TunnelError } from "../errors.ts";
import type { Log } from "../log.ts";
import { MAX_GREETING } from "../message.ts";
import { fromRefusal, toRefusal } from "../refusal.ts";
import type { Store } from "../store.ts";
import type { Stream } from "../transport.ts";
import type { Access, Admission } from "./access.ts";
import type { AuditLog } from "./audit_log.ts";
import { DialReport } from "./dial_report.ts";
import type { Place } from "./members.ts";
import type { RelayMetrics } from "./metrics.ts";
import type { DeviceSession, Registry } from "./registry.ts";
import { splice } from "./splice.ts";

export interface DialContext {
  /** The operator's name, proven at sign-in. */
  readonly operator: string;
  /** Its address. */
  readonly from: string;
  readonly registry: Pick<Registry, "find" | "whenOnline">;
  readonly store: Store;
  readonly log: Log;
  /** Milliseconds for the header, and again for the device's answer. */
  readonly timeout: number;
  /** Milliseconds that the device may have somebody decide, beside that. */
  readonly approvalTimeout: number;
  /** Connections that a dial may carry at once. */
  readonly connections: number;
  /** Cuts the dial, whatever its state. */
  readonly signal: AbortSignal;
  /** Says who may dial what, and until when. */
  readonly access: Pick<Access, "admit">;
  /** Reserves what the dial uses, or throws `limit`. */
  readonly place: (device: string) => Place;
  readonly metrics: Pick<RelayMetrics, "dials" | "streams">;
  readonly audit: Pick<AuditLog, "record" | "recordEnd" | "recordRefusal">;
}

/** Serves a dial from its header to its end. Never rejects. */
export async function handleDial(stream: Stream, context: DialContext): Promise<void> {
  const { signal, timeout } = context;
  const near = new MessageStream(stream);
  const report = new DialReport(context);
  let far: MessageStream | undefined;
  let place: Place | undefined;
  let admission: Admission | undefined;
  try {
    const options = { action: "read a dial", timeout, limit: MAX_GREETING, signal };
    const dial = await near.receive(Dial, options);
    report.about(dial);
    const { operator } = context;
    // First of all: who may not dial a device learns nothing of it.
    admission = await context.access.admit({ operator, device: dial.device, target: dial }, signal);
    place = context.place(dial.device);
    const allowed = { ...context, signal: admission.signal };
    const device = await deviceFor(dial, allowed);
    let answer: FinalAnswer;
    [far, answer] = await offer(dial, device, near, allowed);
    const outcome = answer.type === "accepted" && dial.resume ? "resumed" : answer.type;
    report.answered(outcome, isShared(dial, context));
    await near.send(answer);
    if (answer.type === "stale") {
      return await Promise.all([near.close(), far.close()]).then(() => {});
    }
    const { traffic } = place;
    const carried = await splice(near.detach(), far.detach(), {
      signal: admission.signal,
      traffic,
    });
    const cut = reasonOf(admission.signal);
    report.ended(carried, cut?.parts.state);
    // Both ends keep a channel whose path is lost; this one is not to come back.
    if (cut?.code === "refused") await endChannel(dial, cut.parts.state, context);
  } catch (cause) {
    const error = toTunnelError(cause, "dial", "refused");
    report.refused(error);
    await near.send(toRefusal(error)).catch(() => {}); // The operator has gone.
    await Promise.all([near.close(), far?.close()]);
  } finally {
    place?.release();
    admission?.leave();
  }
}

/** Whether the dial is to carry many connections, and may. */
function isShared({ shared }: Dial, { connections }: DialContext): boolean {
  return shared === true && connections > 1;
}

/** Why a signal has fired, if it has. */
function reasonOf({ aborted, reason }: AbortSignal): TunnelError | undefined {
  return aborted ? toTunnelError(reason, "dial", "aborted") : undefined;
}

/** Tells the device that a channel is over for good; the operator learns it when it comes again. */
async function endChannel(dial: Dial, state: string, context: DialContext): Promise<void> {
  const { registry, timeout, log } = context;
  const action = `end a channel of ${dial.device}`;
  try {
    await withDeadline({ action, timeout }, async (signal) => {
      const stream = await registry.find(dial.device)?.session.openStream({ signal });
      if (!stream) return;
      const messages = new MessageStream(stream);
      await messages.send({ type: "end", hello: keyOfHello(dial.hello), state });
      await messages.close();
    });
  } catch (cause) {
    // It keeps the channel without a path until its window ends; nothing passes all the same.
    log.debug("a device was not told of an end", { device: dial.device, why: describe(cause) });
  }
}

/** The session of the device; one that is to resume a channel may be a moment late. */
async function deviceFor(dial: Dial, context: DialContext): Promise<DeviceSession> {
  const { registry, store, timeout, signal } = context;
  const device = registry.find(dial.device);
  if (device) return device;
  if (!dial.resume) throw await absentDevice(dial.device, store);
  try {
    const options = { action: `wait for ${dial.device}`, timeout, signal };
    return await withDeadline(options, (signal) => registry.whenOnline(dial.device, signal));
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw await absentDevice(dial.device, store);
  }
}

/** What the device says that it neither refuses by nor has the operator wait by. */
type FinalAnswer = Exclude<Answer, { type: "refused" | "pending" }>;
type Offered = [far: MessageStream, answer: FinalAnswer];

/** Opens a stream to the device and has it answer. */
async function offer(
  dial: Dial,
  device: DeviceSession,
  near: MessageStream,
  context: DialContext,
): Promise<Offered> {
  const { operator, timeout, signal, metrics } = context;
  const action = `dial ${dial.device}`;
  const options = { action, timeout, signal };
  return await withDeadline(options, async (signal, extend): Promise<Offered> => {
    const far = new MessageStream(await device.session.openStream({ signal }));
    metrics.streams.of("relay").add();
    const { host, port, protocol, epoch, hello, reason } = dial;
    const shared = isShared(dial, context) ? context.connections : undefined;
    const facts = { operator, host, port, protocol, epoch, hello, reason, shared };
    try {
      await far.send({ type: "offer", ...facts });
      const receive = () => far.receive(Answer, { action, limit: MAX_GREETING, signal });
      let answer = await receive();
      if (answer.type === "pending") {
        const wait = Math.min(answer.timeout, context.approvalTimeout);
        await near.send({ type: "pending", timeout: wait });
        extend(wait + timeout);
        // Nobody is to be asked any longer about a dial that was given up.
        answer = await near.meanwhile(action, receive);
      }
      if (answer.type === "refused") throw fromRefusal(answer, action);
      if (answer.type !== "pending") return [far, answer];
      throw new TunnelError("protocol", { action, state: "the device has it wait twice" });
    } catch (cause) {
      await far.close();
      throw cause;
    }
  }).catch((cause) => {
    const error = toTunnelError(cause, action, "reset");
    if (error.code !== "reset" && error.code !== "closed") throw error;
    throw new TunnelError("offline", {
      action,
      state: `device ${dial.device} went offline while it was dialled`,
      remedy: "try again",
      cause,
    });
  });
}

/** The refusal for a device that the relay has never heard of. */
export function unknownDevice(id: string): TunnelError {
  return new TunnelError("unknown", {
    action: `dial ${id}`,
    state: `no device ${id} has ever joined this relay`,
    remedy: "see `tunnel devices` for those that have",
  });
}

/** The refusal for a device that is not here. */
export async function absentDevice(id: string, store: Store): Promise<TunnelError> {
  const known = await store.device(id);
  if (!known) return unknownDevice(id);
  const since = known.lastSeen ? ` since ${new Date(known.lastSeen.at).toISOString()}` : "";
  return new TunnelError("offline", {
    action: `dial ${id}`,
    state: `device ${id} is offline${since}`,
    remedy: `see that \`tunnel device --id ${id}\` runs there`,
  });
}
