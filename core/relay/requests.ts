/** What a signed-in client may ask on its control stream. */

import type { Bucket } from "../bucket.ts";
import { type DeviceInfo, type Reply, Request } from "../control.ts";
import type { MessageStream } from "../control_stream.ts";
import type { Role } from "../identity/credential.ts";
import { toRefusal } from "../refusal.ts";
import type { DeviceRecord, Store } from "../store.ts";
import { absentDevice, unknownDevice } from "./dial.ts";
import type { RelayMetrics } from "./metrics.ts";
import type { Refusals } from "./refusals.ts";
import type { DeviceSession } from "./registry.ts";

/** Devices in one answer; the message then stays well under its limit. */
const PAGE = 128;

export interface RequestContext {
  /** Who asks: the fleet is no business of a device. */
  readonly role: Role;
  readonly store: Store;
  readonly find: (id: string) => DeviceSession | undefined;
  /** How often this control stream may ask. */
  readonly rate: Bucket;
  readonly metrics: Pick<RelayMetrics, "requests">;
  readonly refusals: Refusals;
}

/** Answers requests in their order until the client ends the stream. */
export async function serveRequests(
  control: MessageStream,
  context: RequestContext,
): Promise<void> {
  for (;;) {
    const request = await control.receiveOrEnd(Request, { action: "serve the control stream" });
    if (request === null) return;
    const { rate, metrics, refusals } = context;
    metrics.requests.of(request.type).add();
    if (rate.take()) {
      await control.send(await answer(request, context));
    } else {
      const state = "this session asks too often";
      const error = refusals.refuse("requests", `answer ${request.type}`, state);
      await control.send({ ...toRefusal(error), id: request.id });
    }
  }
}

async function answer(request: Request, { role, store, find }: RequestContext): Promise<Reply> {
  const { id } = request;
  if (request.type === "ping") return { type: "pong", id };
  if (role !== "operator") {
    return { type: "refused", id, code: "refused", state: "only an operator may ask for this" };
  }
  if (request.type === "device") {
    const known = await store.device(request.device);
    if (!known) return { ...toRefusal(unknownDevice(request.device)), id };
    return { type: "device", id, device: describe(known, find(known.name)) };
  }
  if (request.type === "peer") {
    const peer = find(request.device)?.peer;
    if (peer) return { type: "peer", id, ...peer };
    return { ...toRefusal(await absentDevice(request.device, store)), id };
  }
  const known = await store.devices({ after: request.after, limit: PAGE + 1 });
  const devices = known.slice(0, PAGE).map((device) => describe(device, find(device.name)));
  return { type: "devices", id, devices, more: known.length > PAGE };
}

function describe(device: DeviceRecord, online: DeviceSession | undefined): DeviceInfo {
  if (!online) {
    const { name, lastSeen } = device;
    const { at, transport, remote } = lastSeen ?? {};
    return { id: name, online: false, since: at, transport, remote: remote?.hostname };
  }
  const { session, since } = online;
  const { transport, remote } = session;
  return { id: device.name, online: true, since, transport, remote: remote.hostname };
}
