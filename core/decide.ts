/** The operator's side of approvals: which dials wait for a decision, and deciding. */

import type { WaitingDial } from "./control.ts";
import { TunnelError } from "./errors.ts";
import { dialId, makeDecision } from "./identity/decision.ts";
import type { Link } from "./link.ts";
import { unasked } from "./link_errors.ts";
import type { Claim } from "./sign_in.ts";

/** A dial that waits, with the ID that stands for all that is shown of it. */
export interface NamedDial extends WaitingDial {
  readonly id: string;
}

/** The dials that this operator may decide about, oldest first. */
export async function waitingDials(link: Link, signal?: AbortSignal): Promise<NamedDial[]> {
  const dials: NamedDial[] = [];
  for (;;) {
    const after = dials.at(-1)?.id;
    const page = await link.request({ type: "approvals", id: 0, after }, { signal });
    if (page.type !== "approvals") throw unasked();
    // The ID is made here and not asked for: what it stands for is what was shown.
    for (const dial of page.dials) dials.push({ ...dial, id: await dialId(dial) });
    if (!page.more || page.dials.length === 0) return dials.sort((a, b) => a.since - b.since);
  }
}

/**
 * Decides about a dial that waits.
 *
 * @param claim with the credential and private key to sign with
 * @returns the dial
 * @throws {TunnelError} `gone` when it waits no longer; `usage` when the claim is a join secret
 */
export async function decideDial(
  link: Link,
  claim: Claim,
  { id, accept, signal }: { id: string; accept: boolean; signal?: AbortSignal },
): Promise<NamedDial> {
  const action = `${accept ? "approve" : "deny"} ${id}`;
  if (!("credential" in claim)) {
    throw new TunnelError("usage", { action, state: "it takes a credential, not a join secret" });
  }
  const { credential, privateKey } = claim;
  const dial = (await waitingDials(link, signal)).find((dial) => dial.id === id);
  if (!dial) {
    throw new TunnelError("gone", {
      action,
      state: "no such dial waits for your decision",
      remedy: "see `tunnel approvals` for those that do",
    });
  }
  const decision = await makeDecision({ privateKey, credential, dial, accept });
  const request = { type: "approve", id: 0, dial: id, accept, decision, credential } as const;
  const reply = await link.request(request, { signal });
  if (reply.type !== "done") throw unasked();
  return dial;
}
