/** `tunnel device`: serves dials to the ports that it allows. */

import { DEFAULT_ALLOW, formatTarget } from "../core/allow.ts";
import { withBench } from "../core/bench/target.ts";
import { APPROVAL_WAIT, type ApprovalOptions, DEFAULT_APPROVAL_TIMEOUT } from "../core/approval.ts";
import { askOperators } from "../core/ask_operators.ts";
import { describe, TunnelError } from "../core/errors.ts";
import { Verifier } from "../core/identity/credential.ts";
import { DeviceServer } from "../core/member/device_server.ts";
import { parseDeviceId, parseDuration, parseTarget } from "../core/names.ts";
import { DEVICE_LIMITS } from "../core/transport.ts";
import { connectTcp } from "../transports/tcp/tcp.ts";
import { askCommand } from "./approve_command.ts";
import { rotationsAsked } from "../stores/rotation.ts";
import { AGENT, type Context, makeConnector } from "./context.ts";
import { identityFor } from "./enrol.ts";
import { print, stopSignal } from "./process.ts";

export async function device(context: Context): Promise<void> {
  const { options, home, log } = context;
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
  log.info("allowed", { targets: allow.map(formatTarget).join(",") });
  const served = await DeviceServer.start({
    identity,
    store: home.members,
    connector: await makeConnector(context, identity, DEVICE_LIMITS),
    agent: AGENT,
    allow,
    connect: withBench(connectTcp),
    approval: approve?.(new Verifier(identity.authority)),
    resumeWindow: parseDuration(options.text("resumeWindow") ?? "5m"),
    log,
    onUp(link, outgrown) {
      if (!outgrown) print(`device ${id} online via ${link.session.transport}`);
    },
  });
  const ended = new AbortController();
  stop.addEventListener("abort", () => served.close());
  if (stop.aborted) served.close();
  rotateWhenAsked(served, context, ended.signal);
  try {
    await served.closed;
  } finally {
    ended.abort();
  }
}

/** Serves `tunnel rotate device ID` of the same home. Never rejects. */
async function rotateWhenAsked(
  device: DeviceServer,
  { home, log }: Context,
  signal: AbortSignal,
): Promise<void> {
  const { id } = device;
  try {
    for await (const _ of rotationsAsked(home.rotationPath(id), signal)) {
      await device.rotateKeys(signal).catch((cause) =>
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
