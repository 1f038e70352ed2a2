/** `tunnel device`: serves dials to the ports that it allows. */

import { DEFAULT_ALLOW, formatTarget } from "../core/allow.ts";
import { Device } from "../core/device.ts";
import { APPROVAL_WAIT, type ApprovalOptions, DEFAULT_APPROVAL_TIMEOUT } from "../core/approval.ts";
import { askOperators } from "../core/ask_operators.ts";
import { superviseEndpoint } from "../core/endpoint.ts";
import { describe, TunnelError } from "../core/errors.ts";
import { Verifier } from "../core/identity/credential.ts";
import { DEVICE_LIMITS } from "../core/transport.ts";
import { parseDeviceId, parseDuration, parseRelayUrl, parseTarget } from "../core/names.ts";
import { connectTcp } from "../transports/tcp/tcp.ts";
import { askCommand } from "./approve_command.ts";
import { Membership } from "../core/membership.ts";
import type { Renewal } from "../core/renewal.ts";
import { rotationsAsked } from "../stores/rotation.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { identityFor } from "./enrol.ts";
import { print, stopSignal } from "./process.ts";
import { renewalOf, renewWhile } from "./renew.ts";

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
  const approve = approvalOf(context);
  const stop = stopSignal();
  const identity = await identityFor(context, "device", id, stop);
  const verifier = new Verifier(identity.authority);
  const membership = await Membership.of(identity);
  log.info("allowed", { targets: allow.map(formatTarget).join(",") });
  const served = new Device({
    id,
    identity: membership,
    verifier,
    allow,
    connect: connectTcp,
    approval: approve?.(verifier),
    resumeWindow: parseDuration(options.text("resumeWindow") ?? "5m"),
    log,
  });
  const supervisor = superviseEndpoint({
    relay: parseRelayUrl(identity.relay),
    claim: () => membership.claim(),
    connector: await makeConnector(context, identity, DEVICE_LIMITS),
    agent: AGENT,
    epoch: () => served.epoch,
    log,
    onUp(link) {
      print(`device ${id} online via ${link.session.transport}`);
      served.serve(link);
    },
  });
  // The channels are closed before the session that says so to their other ends.
  const ending = new AbortController();
  stop.addEventListener("abort", () => served.close().then(() => ending.abort()));
  const renewal = renewalOf(context, identity, membership, supervisor);
  renewWhile(renewal, context, ending.signal);
  rotateWhenAsked(renewal, context, id, ending.signal);
  try {
    await supervisor.run(ending.signal);
  } finally {
    ending.abort();
  }
}

/** Serves `tunnel rotate device ID` of the same home. Never rejects. */
async function rotateWhenAsked(
  renewal: Renewal,
  { home, log }: Context,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const _ of rotationsAsked(home.rotationPath(id), signal)) {
      await renewal.rotate(signal).catch((cause) =>
        log.error("keys not rotated", { device: id, why: describe(cause) })
      );
    }
  } catch (cause) {
    log.warn("`tunnel rotate` does not reach this device", { device: id, why: describe(cause) });
  }
}

/**
 * Who is asked about new dials, as `--approve` and `--approve-command` say.
 *
 * @throws {TunnelError} `usage`
 */
function approvalOf(
  { options }: Context,
): ((verifier: Verifier) => ApprovalOptions) | undefined {
  const command = options.text("approveCommand");
  const byOperators = options.flag("approve");
  const text = options.text("approveTimeout");
  const timeout = text === undefined ? DEFAULT_APPROVAL_TIMEOUT : parseDuration(text);
  const problem = byOperators && command !== undefined
    ? "--approve and --approve-command exclude each other"
    : command?.trim() === ""
    ? "--approve-command is empty"
    : timeout > APPROVAL_WAIT
    ? "--approve-timeout is more than the 5m that relay and operator wait"
    : undefined;
  if (problem) throw new TunnelError("usage", { action: "start the device", state: problem });
  if (command !== undefined) return () => ({ ask: askCommand(command), timeout });
  if (!byOperators) return undefined;
  return (verifier) => ({ ask: askOperators({ verifier, timeout }), timeout });
}
