/** The device's end of a shared channel. */

import type { Duplex } from "../duplex.ts";
import { join } from "../duplex.ts";
import { describe, toTunnelError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Stream } from "../transport.ts";
import { shareChannel } from "./session.ts";
import { AnsweringStream } from "./shared_stream.ts";

export interface ServeSharedOptions {
  /** Connections at once. */
  readonly connections: number;
  /** Connects to the target, within bounds of its own. */
  readonly connect: () => Promise<Duplex>;
  readonly log: Log;
  /** What there is to say of the dial. */
  readonly facts: Readonly<Record<string, string | undefined>>;
}

/** Serves connections in a channel until it ends; says how many there were. Never rejects. */
export async function serveShared(
  channel: Duplex,
  { connections, ...options }: ServeSharedOptions,
): Promise<number> {
  const session = shareChannel(channel, "server", connections);
  let count = 0;
  try {
    for await (const stream of session.incoming) {
      count++;
      serveStream(stream, options);
    }
  } catch {
    // The channel has been reset, which its device sees and reports.
  }
  return count;
}

async function serveStream(
  stream: Stream,
  { connect, log, facts }: Omit<ServeSharedOptions, "connections">,
): Promise<void> {
  const operator = new AnsweringStream(stream, "serve a connection");
  let target: Duplex;
  try {
    target = await connect();
  } catch (cause) {
    const { state } = toTunnelError(cause, "serve a connection", "target").parts;
    log.info("connection refused", { ...facts, why: state });
    return await operator.refuse(cause);
  }
  try {
    const { sent, received } = await join(target, operator);
    log.info("connection ended", { ...facts, sent, received });
  } catch (cause) {
    log.info("connection reset", { ...facts, why: describe(cause) });
  }
}
