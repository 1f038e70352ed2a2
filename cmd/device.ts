/** `tunnel device`: serves dials to the ports that it allows. */

import { DEFAULT_ALLOW, formatTarget } from "../core/allow.ts";
import { serveDials } from "../core/device.ts";
import { superviseEndpoint } from "../core/endpoint.ts";
import { TunnelError } from "../core/errors.ts";
import { parseDeviceId, parseRelayUrl, parseTarget } from "../core/names.ts";
import { connectTcp } from "../transports/tcp/tcp.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { claimOf, identityFor } from "./enrol.ts";
import { print, stopSignal } from "./process.ts";

export async function device(context: Context): Promise<void> {
  const { options, log } = context;
  const text = options.text("id");
  if (text === undefined) {
    throw new TunnelError("usage", {
      action: "start the device",
      state: "it has no ID",
      remedy: "name it: --id x",
    });
  }
  const id = parseDeviceId(text);
  const allow = options.list("allow")?.map(parseTarget) ?? DEFAULT_ALLOW;
  const stop = stopSignal();
  const identity = await identityFor(context, "device", id, stop);
  log.info("allowed", { targets: allow.map(formatTarget).join(",") });
  const supervisor = superviseEndpoint({
    relay: parseRelayUrl(identity.relay),
    claim: await claimOf(identity),
    connector: await makeConnector(context, identity),
    agent: AGENT,
    log,
    onUp(link) {
      print(`device ${id} online via ${link.session.transport}`);
      serveDials(link, { allow, connect: connectTcp, log });
    },
  });
  await supervisor.run(stop);
}
