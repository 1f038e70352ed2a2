/** `tunnel device`: serves dials to the ports that it allows. */

import { DEFAULT_ALLOW, formatTarget } from "../core/allow.ts";
import { Device } from "../core/device.ts";
import { APPROVAL_WAIT, type ApprovalOptions, DEFAULT_APPROVAL_TIMEOUT } from "../core/approval.ts";
import { askOperators } from "../core/ask_operators.ts";
import { superviseEndpoint } from "../core/endpoint.ts";
import { TunnelError } from "../core/errors.ts";
import { Verifier } from "../core/identity/credential.ts";
import { parseDeviceId, parseDuration, parseRelayUrl, parseTarget } from "../core/names.ts";
import { connectTcp } from "../transports/tcp/tcp.ts";
import { askCommand } from "./approve_command.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { channelIdentityOf, claimOf, identityFor } from "./enrol.ts";
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
  const approve = approvalOf(context);
  const stop = stopSignal();
  const identity = await identityFor(context, "device", id, stop);
  const verifier = new Verifier(identity.authority);
  log.info("allowed", { targets: allow.map(formatTarget).join(",") });
  const served = new Device({
    id,
    identity: await channelIdentityOf(identity),
    verifier,
    allow,
    connect: connectTcp,
    approval: approve?.(verifier),
    resumeWindow: parseDuration(options.text("resumeWindow") ?? "5m"),
    log,
  });
  const supervisor = superviseEndpoint({
    relay: parseRelayUrl(identity.relay),
    claim: await claimOf(identity),
    connector: await makeConnector(context, identity),
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
  await supervisor.run(ending.signal);
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
