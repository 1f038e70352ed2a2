/** The device's questions to operators about dials, by way of the relay, and what it makes of answers. */

import type { ApprovalOptions } from "./approval.ts";
import type { Decision } from "./control.ts";
import { TunnelError } from "./errors.ts";
import type { Verifier } from "./identity/credential.ts";
import { type DecidedDial, helloDigest, verifyDecision } from "./identity/decision.ts";
import type { Link } from "./link.ts";
import { unasked } from "./link_errors.ts";

export interface AskOptions {
  /** By the authority of the fleet: the deciding operator's credential must verify with it. */
  readonly verifier: Verifier;
  /** Milliseconds that operators have, less than 2^31. */
  readonly timeout: number;
}

/**
 * Has an operator decide about a dial: another than the one who dials. Who may, the relay says; that
 * it was one of the fleet, and about this very dial, the device sees for itself.
 */
export function askOperators({ verifier, timeout }: AskOptions): ApprovalOptions["ask"] {
  return async ({ device, offer, link }, signal) => {
    const { operator, host, port, protocol, reason, epoch } = offer;
    const hello = await helloDigest(offer.hello);
    const dial = { device, operator, host, port, protocol, reason, epoch, hello };
    const { decision, credential } = await ask(link, dial, timeout, signal);
    const { role, name, key } = await verifier.verify(credential);
    if (role !== "operator") throw refused(`${role} ${name} cannot approve a dial`);
    if (name === operator) throw refused(`operator ${name} cannot approve a dial of its own`);
    if (await verifyDecision(decision, { key, credential, dial })) return name;
    throw refused(`operator ${name} denied it`);
  };
}

async function ask(
  link: Link,
  { device: _, ...asked }: DecidedDial,
  timeout: number,
  signal: AbortSignal,
): Promise<Decision> {
  try {
    const request = { type: "approval", id: 0, ...asked, timeout } as const;
    const reply = await link.request(request, { timeout, signal });
    if (reply.type === "decision") return reply;
    throw unasked();
  } catch (cause) {
    // Nobody is to decide about it any more. A session that is lost takes its questions along.
    link.request({ type: "withdraw", id: 0, hello: asked.hello }).catch(() => {});
    throw cause;
  }
}

function refused(state: string): TunnelError {
  return new TunnelError("refused", { action: "wait for approval", state });
}
