/** What a signed-in client may ask on its control stream. */

import { type DeviceInfo, type Renew, type Reply, Request } from "../control.ts";
import type { MessageStream } from "../control_stream.ts";
import type { Issued, Role } from "../identity/credential.ts";
import { toTunnelError } from "../errors.ts";
import type { Log } from "../log.ts";
import { toRefusal } from "../refusal.ts";
import type { DeviceRecord, Store } from "../store.ts";
import { absentDevice, unknownDevice } from "./dial.ts";
import type { DeviceSession } from "./registry.ts";
import type { Renewals } from "./renewals.ts";

/** Devices in one answer; the message then stays well under its limit. */
const PAGE = 128;

export interface RequestContext {
  /** Who asks: the fleet is no business of a device. */
  readonly role: Role;
  readonly store: Store;
  readonly find: (id: string) => DeviceSession | undefined;
  readonly renewals: Renewals;
  /** Who asks has a newer credential from now on. */
  readonly onRenewed: (issued: Issued) => void;
  readonly log: Log;
}

/** Answers requests in their order until the client ends the stream. */
export async function serveRequests(
  control: MessageStream,
  context: RequestContext,
): Promise<void> {
  for (;;) {
    const request = await control.receiveOrEnd(Request, { action: "serve the control stream" });
    if (request === null) return;
    await control.send(await answer(request, context));
  }
}

async function answer(request: Request, context: RequestContext): Promise<Reply> {
  const { role, store, find, renewals } = context;
  const { id } = request;
  if (request.type === "ping") return { type: "pong", id };
  if (request.type === "nonce") return { type: "nonce", id, nonce: renewals.nonce() };
  if (request.type === "renew") return await renew(request, context);
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
