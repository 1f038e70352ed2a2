/** The service's half of a dial: from a link to a channel to a device's port. */

import { formatTarget, type Target } from "./allow.ts";
import { Channel, type ChannelOptions } from "./channel/channel.ts";
import { Answer, type Dial } from "./control.ts";
import { MessageStream } from "./control_stream.ts";
import { withDeadline } from "./deadline.ts";
import { toTunnelError, TunnelError } from "./errors.ts";
import type { Link } from "./link.ts";
import { MAX_GREETING } from "./message.ts";
import { fromRefusal } from "./refusal.ts";

export interface DialOptions {
  /** Milliseconds until the device must have answered; default 45,000, more than a relay waits. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  readonly channel?: ChannelOptions;
}

/**
 * Opens a channel to a target of a device.
 *
 * @throws {TunnelError} `unknown`, `offline`, `target`, `refused`, `timeout`, `reset`, `aborted`
 */
export async function dial(
  link: Link,
  device: string,
  target: Target,
  options: DialOptions = {},
): Promise<Channel> {
  const { timeout = 45_000, signal, channel: channelOptions } = options;
  const action = `dial ${device}:${formatTarget(target)}`;
  const release = link.hold();
  let messages: MessageStream | undefined;
  try {
    return await withDeadline({ action, timeout, signal }, async (signal) => {
      messages = new MessageStream(await link.session.openStream({ signal }));
      const { host, port } = target;
      await messages.send({ type: "dial", device, host, port, protocol: "tcp" } satisfies Dial);
      const answer = await messages.receive(Answer, { action, limit: MAX_GREETING });
      if (signal.aborted) throw signal.reason;
      if (answer.type === "refused") throw fromRefusal(answer, action);
      const { reader, writable } = messages.detach();
      const channel = new Channel(reader, writable, channelOptions);
      channel.closed.catch(() => {}).finally(release); // Its user sees how it ended.
      return channel;
    });
  } catch (cause) {
    release();
    await messages?.close();
    const error = toTunnelError(cause, action, "reset");
    throw error instanceof TunnelError && error.code === "protocol" ? error.during(action) : error;
  }
}
