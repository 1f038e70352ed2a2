/** `tunnel rotate`: new keys for a member of this home, under the name that it has. */

import { withDeadline } from "../core/deadline.ts";
import { openLink } from "../core/endpoint.ts";
import { TunnelError } from "../core/errors.ts";
import { fingerprint } from "../core/identity/keys.ts";
import type { Identity } from "../core/member/identity.ts";
import { renewalOf } from "../core/member/presence.ts";
import { Membership, publicKeysOf } from "../core/membership.ts";
import { parseDeviceId, parseRelayUrl } from "../core/names.ts";
import { parentOf } from "../stores/files.ts";
import { askToRotate, untilChange } from "../stores/rotation.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { ownIdentity } from "./enrol.ts";
import { print, stopSignal } from "./process.ts";

/** Milliseconds that a running device has to come by its new keys. */
const ROTATED_WITHIN = 30_000;

export async function rotate(context: Context, role: string, name?: string): Promise<void> {
  const isDevice = role === "device" && name !== undefined;
  if (!isDevice && !(role === "operator" && name === undefined)) {
    throw new TunnelError("usage", {
      action: "rotate keys",
      state: `${JSON.stringify(`${role} ${name ?? ""}`.trim())} names no member of this home`,
      remedy: "use `tunnel rotate device ID` or `tunnel rotate operator`",
    });
  }
  const before = isDevice
    ? await ownIdentity(context, "device", parseDeviceId(name))
    : await ownIdentity(context, "operator", undefined);
  // A running device does it itself: its channels stay, and no other session takes its place.
  const after = isDevice && await byRunningDevice(context, before) ||
    await bySessionOfOwn(context, before);
  const key = await fingerprint((await publicKeysOf(after)).agreement);
  print(`${after.role} ${after.name} has the key ${key}`);
}

/** Undefined when none is running. */
async function byRunningDevice(
  { home }: Context,
  before: Identity,
): Promise<Identity | undefined> {
  const { name } = before;
  const old = (await publicKeysOf(before)).agreement;
  const path = home.rotationPath(name);
  using watcher = Deno.watchFs(parentOf(path));
  if (!await askToRotate(path)) return undefined;
  let after = before;
  const isDone = async () => {
    after = (await home.members.read("device", name))?.value ?? before;
    return (await publicKeysOf(after)).agreement.x !== old.x;
  };
  const action = `rotate the keys of device ${name}`;
  const remedy = "see the log of the running `tunnel device`";
  await withDeadline(
    { action, timeout: ROTATED_WITHIN, remedy },
    () => untilChange(watcher, isDone),
  );
  return after;
}

async function bySessionOfOwn(context: Context, identity: Identity): Promise<Identity> {
  const stop = stopSignal();
  const membership = await Membership.of(identity);
  const link = await openLink({
    relay: parseRelayUrl(identity.relay),
    claim: () => membership.claim(),
    connector: await makeConnector(context, identity),
    agent: AGENT,
  }, stop);
  try {
    const links = { link: () => Promise.resolve(link) };
    const { home: { members: store }, log } = context;
    await renewalOf({ identity, store, log }, membership, links).rotate(stop);
  } finally {
    link.session.close();
    await link.session.closed.catch(() => {}); // How it ended is not news: the keys are kept or not.
  }
  return { ...identity, ...membership.state };
}
