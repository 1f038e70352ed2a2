/** The device's half of a dial: checks its own list, connects to the target, and carries the bytes. */

import { allowedAddress, formatTarget, type Target } from "./allow.ts";
import { Channel, type ChannelOptions } from "./channel/channel.ts";
import { Offer } from "./control.ts";
import { MessageStream } from "./control_stream.ts";
import { abortError, withDeadline } from "./deadline.ts";
import { type Duplex, join } from "./duplex.ts";
import { describe, toTunnelError, TunnelError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Log } from "./log.ts";
import { MAX_GREETING } from "./message.ts";
import { toRefusal } from "./refusal.ts";
import type { Stream } from "./transport.ts";

/** Connects to what a dial asks for. */
export type TargetConnector = (
  address: { hostname: string; port: number },
  signal: AbortSignal,
) => Promise<Duplex>;

export interface DeviceOptions {
  /** What may be dialled; nothing else is. */
  readonly allow: readonly Target[];
  readonly connect: TargetConnector;
  readonly log: Log;
  /** Milliseconds to reach a target; default 10,000. */
  readonly connectTimeout?: number;
  readonly channel?: ChannelOptions;
}

/** Serves the dials that come in on a link until its session ends. Never rejects. */
export async function serveDials(link: Link, options: DeviceOptions): Promise<void> {
  try {
    for await (const stream of link.session.incoming) {
      const release = link.hold();
      serveDial(stream, options).finally(release);
    }
  } catch {
    // The session was lost, which its supervisor sees and reports.
  }
}

async function serveDial(stream: Stream, options: DeviceOptions): Promise<void> {
  const { log } = options;
  const messages = new MessageStream(stream);
  const facts: Record<string, string> = {};
  let target: Duplex | undefined;
  try {
    target = await connect(messages, options, facts);
    await messages.send({ type: "accepted" });
    log.info("dial accepted", facts);
    const { reader, writable } = messages.detach();
    await carry(new Channel(reader, writable, options.channel), target, facts, log);
  } catch (cause) {
    const error = toTunnelError(cause, "serve a dial", "target");
    log.info("dial refused", { ...facts, why: error.parts.state });
    target?.reset(error);
    await messages.send(toRefusal(error)).catch(() => {}); // The relay has gone.
    await messages.close();
  }
}

async function connect(
  messages: MessageStream,
  { allow, connect, connectTimeout: timeout = 10_000 }: DeviceOptions,
  facts: Record<string, string>,
): Promise<Duplex> {
  const action = "serve a dial";
  const offer = await messages.receive(Offer, { action, timeout, limit: MAX_GREETING });
  facts.operator = offer.operator;
  facts.target = formatTarget(offer);
  const address = allowedAddress(allow, offer);
  const dialling = `connect to ${formatTarget({ host: address.hostname, port: address.port })}`;
  try {
    return await withDeadline({ action: dialling, timeout }, async (signal) => {
      const target = await connect(address, signal);
      if (!signal.aborted) return target;
      target.reset(abortError(signal, dialling));
      throw abortError(signal, dialling);
    });
  } catch (cause) {
    throw new TunnelError("target", {
      action: dialling,
      state: `the device could not connect to ${address.hostname}:${address.port}: ${
        cause instanceof TunnelError ? cause.parts.state : describe(cause)
      }`,
      remedy: "see that the service runs there",
      cause,
    });
  }
}

async function carry(
  channel: Channel,
  target: Duplex,
  facts: Record<string, string>,
  log: Log,
): Promise<void> {
  try {
    const { sent, received } = await join(channel, target);
    await channel.closed;
    log.info("dial ended", { ...facts, sent: received, received: sent });
  } catch (cause) {
    log.info("dial reset", { ...facts, why: describe(cause) });
  }
}
