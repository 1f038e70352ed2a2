/** An offered dial at the device: who made it, proven, and the target that it asks for. */

import type { Freshness } from "./channel/freshness.ts";
import { type ChannelIdentity, respond, type Response } from "./channel/handshake.ts";
import { respondShort } from "./channel/short_handshake.ts";
import type { TakenTickets } from "./channel/tickets.ts";
import type { Offer } from "./control.ts";
import { abortError, withDeadline } from "./deadline.ts";
import { checkAddress, formatTarget, type Target } from "./allow.ts";
import type { Duplex } from "./duplex.ts";
import { describe, TunnelError } from "./errors.ts";
import type { Verifier } from "./identity/credential.ts";

/**
 * Connects to what a dial asks for. Where it resolves a name it asks `permit` about every address
 * that it would connect to, and connects to no other; `permit` throws at what is forbidden.
 */
export type TargetConnector = (
  address: { hostname: string; port: number },
  signal: AbortSignal,
  permit: (ip: string) => void,
) => Promise<Duplex>;

/**
 * Reads the hello of an offer; undefined when it was made for an epoch or a key of before.
 *
 * @throws {TunnelError} `refused` when it is not what the relay says it is
 */
export async function authenticate(
  offer: Offer,
  device: { id: string; identity: ChannelIdentity; verifier: Verifier; now?: () => number },
  freshness: Freshness,
  tickets: TakenTickets,
): Promise<Response | undefined> {
  const { host, port, protocol, epoch, hello } = offer;
  if (epoch !== freshness.epoch) return undefined;
  const subject = { device: device.id, host, port, protocol, epoch };
  const response = respondShort(tickets, device.identity.credential, subject, hello) ??
    await respond(device.identity, subject, hello);
  if (!response) return undefined;
  const now = device.now?.();
  const { role, name, agreement } = await device.verifier.verify(response.credential, { now });
  if (role === "operator" && name === offer.operator && agreement.x === response.remoteKey) {
    if (response.reason === offer.reason) return response;
    throw new TunnelError("refused", {
      action: "serve a dial",
      state: `the relay gave another reason than operator ${name} did`,
      remedy: "the relay is not to be trusted: tell whoever runs it",
    });
  }
  throw new TunnelError("refused", {
    action: "serve a dial",
    state: `the dial of operator ${offer.operator} was made with the key of another`,
  });
}

/**
 * Connects to a target of the list.
 *
 * @param bound milliseconds, and what else ends the wait
 * @throws {TunnelError} `target`
 */
export async function reach(
  address: { hostname: string; port: number },
  { allow, connect }: { allow: readonly Target[]; connect: TargetConnector },
  bound: { timeout: number; signal: AbortSignal },
): Promise<Duplex> {
  const action = `connect to ${formatTarget({ host: address.hostname, port: address.port })}`;
  const permit = (ip: string) => checkAddress(allow, address, ip);
  try {
    return await withDeadline({ action, ...bound }, async (signal) => {
      const target = await connect(address, signal, permit);
      if (!signal.aborted) return target;
      target.reset(abortError(signal, action));
      throw abortError(signal, action);
    });
  } catch (cause) {
    if (cause instanceof TunnelError && cause.code === "target") throw cause;
    throw new TunnelError("target", {
      action,
      state: `the device could not connect to ${address.hostname}:${address.port}: ${
        cause instanceof TunnelError ? cause.parts.state : describe(cause)
      }`,
      remedy: "see that the service runs there",
      cause,
    });
  }
}
