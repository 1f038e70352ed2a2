/** `tunnel connect`: a local listener, or stdio, whose far end is a device's port. */

import { formatTarget, type Target } from "../core/allow.ts";
import { join } from "../core/duplex.ts";
import { toTunnelError } from "../core/errors.ts";
import { parseDeviceId, parseReason, parseTarget } from "../core/names.ts";
import { listenTcp } from "../transports/tcp/tcp.ts";
import type { Context } from "./context.ts";
import { shortageWarning } from "./log.ts";
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
  const reason = reasonOf(context);
  await withService(
    context,
    (service) =>
      context.options.flag("stdio")
        ? overStdio(service, id, target, reason)
        : overListener(context, service, id, target, reason, address),
  );
}

/**
 * What `--reason` says.
 *
 * @throws {TunnelError} `usage`
 */
export function reasonOf({ options }: Context): string | undefined {
  const text = options.text("reason");
  return text === undefined ? undefined : parseReason(text);
}

async function overStdio(
  service: Service,
  id: string,
  target: Target,
  reason: string | undefined,
): Promise<void> {
  const channel = await service.dialer.dial(id, target, { reason, signal: service.stop });
  await join(stdioDuplex(), channel);
  await channel.closed;
}

async function overListener(
  { log }: Context,
  service: Service,
  id: string,
  target: Target,
  reason: string | undefined,
  address: { hostname: string; port: number },
): Promise<void> {
  const { supervisor, dialer, stop } = service;
  await dialer.prepare(id, { timeout: LINK_TIMEOUT, signal: stop });
  const link = await supervisor.link(LINK_TIMEOUT, stop);
  const name = `${id}:${formatTarget(target)}`;
  await using listener = await listenTcp(
    { ...address, onShortage: shortageWarning(log) },
    async (local) => {
      try {
        const { early } = local;
        const connection = await dialer.connect(id, target, { reason, early, signal: stop });
        const { sent, received } = await join(local, connection);
        log.info("connection ended", { to: name, sent, received });
      } catch (cause) {
        const error = toTunnelError(cause, `dial ${name}`, "reset");
        log.warn("connection failed", { why: error.message });
        local.reset(error);
      }
    },
  );
  const { hostname, port } = listener;
  const local = formatTarget({ host: hostname, port });
  print(`listening ${local} -> ${name} via ${link.session.transport}`);
  await new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve()));
}
