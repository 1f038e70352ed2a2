/** `tunnel connect`: a local listener, or stdio, whose far end is a device's port. */

import { formatTarget, type Target } from "../core/allow.ts";
import { dial } from "../core/dial.ts";
import { type Duplex, join } from "../core/duplex.ts";
import { toTunnelError, TunnelError } from "../core/errors.ts";
import { parseDeviceId, parseTarget } from "../core/names.ts";
import { listenTcp } from "../transports/tcp/tcp.ts";
import type { Context } from "./context.ts";
import { parseListen } from "./parse.ts";
import { print, stdioDuplex } from "./process.ts";
import { LINK_TIMEOUT, type Service, withService } from "./service.ts";

export async function connect(
  context: Context,
  deviceText: string,
  targetText: string,
): Promise<void> {
  const id = parseDeviceId(deviceText);
  const target = parseTarget(targetText);
  const address = parseListen(context.options.text("listen") ?? "0", "127.0.0.1");
  await withService(
    context,
    (service) =>
      context.options.flag("stdio")
        ? overStdio(service, id, target)
        : overListener(context, service, id, target, address),
  );
}

async function overStdio(service: Service, id: string, target: Target): Promise<void> {
  const channel = await open(service, id, target);
  await join(stdioDuplex(), channel);
  await channel.closed;
}

async function overListener(
  { log }: Context,
  service: Service,
  id: string,
  target: Target,
  address: { hostname: string; port: number },
): Promise<void> {
  const { supervisor, stop } = service;
  const link = await supervisor.link(LINK_TIMEOUT, stop);
  const { online, since } = await link.device(id, stop);
  if (!online) {
    throw new TunnelError("offline", {
      action: `connect ${id}`,
      state: `the device is offline${since ? ` since ${new Date(since).toISOString()}` : ""}`,
      remedy: `see that \`tunnel device --id ${id}\` runs there`,
    });
  }
  const name = `${id}:${formatTarget(target)}`;
  await using listener = await listenTcp(address, async (local: Duplex) => {
    try {
      const channel = await open(service, id, target);
      const { sent, received } = await join(local, channel);
      log.info("connection ended", { to: name, sent, received });
    } catch (cause) {
      const error = toTunnelError(cause, `dial ${name}`, "reset");
      log.warn("connection failed", { why: error.message });
      local.reset(error);
    }
  });
  const { hostname, port } = listener;
  const local = formatTarget({ host: hostname, port });
  print(`listening ${local} -> ${name} via ${link.session.transport}`);
  await new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve()));
}

async function open({ supervisor, stop }: Service, id: string, target: Target) {
  const link = await supervisor.link(LINK_TIMEOUT, stop);
  return await dial(link, id, target, { signal: stop });
}
