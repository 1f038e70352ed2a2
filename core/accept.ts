/** What a device's own program says to a dial, and how it serves it: no socket need be involved. */

import type { Target } from "./allow.ts";
import type { Channel } from "./channel/channel.ts";
import { type Duplex, join, type Transferred } from "./duplex.ts";
import { describe, toTunnelError, TunnelError } from "./errors.ts";
import type { AgreementJwk } from "./identity/keys.ts";
import type { Log } from "./log.ts";
import { type ByteStreams, fromStreams, toStreams } from "./streams.ts";

/** A dial as a device's program sees it: its operator is authenticated, by the fleet's authority. */
export interface DialRequest {
  /** The operator's name, as its credential says. */
  readonly operator: string;
  /** The operator's key for channels, certified by the fleet's authority; see `fingerprint`. */
  readonly key: AgreementJwk;
  /** What is dialled: a port, and a host if it is not the device itself. Nothing of it need exist. */
  readonly target: Target;
  /** What the operator says that it is for. */
  readonly reason?: string;
  /** Fires when the dial is given up before it is answered, after 10 seconds at the latest. */
  readonly signal: AbortSignal;
  /** An error to throw: the operator is refused, with these words, at most 300 characters. */
  refuse(why: string): TunnelError;
}

/** The device's end of a connection that its program serves. */
export interface ServedStream extends ByteStreams {
  readonly request: DialRequest;
  /**
   * Fulfils when both directions have ended and the operator has everything. Rejects with a
   * `TunnelError` when the connection was reset, or lost for longer than the resume window.
   */
  readonly closed: Promise<void>;
  /** Ends both directions at once; the operator sees a reset with this reason. */
  reset(why: string): void;
}

/** Serves a connection. When it throws, or its promise rejects, the connection is reset. */
export type DialHandler = (stream: ServedStream) => void | Promise<void>;

/**
 * What a dial is connected to: streams that are joined to it, or a function that serves it. Nothing:
 * a target of the list of what is allowed, over TCP, if it is on that list.
 */
export type Accepted = ByteStreams | DialHandler | undefined | void;

/**
 * Says what a dial is connected to. It is asked about every new dial, once the operator is
 * authenticated; a connection that comes back after a loss is not asked about again.
 *
 * @throws what `request.refuse` makes, to refuse; anything else tells the operator that the device
 * has failed, and the log why
 */
export type DialAcceptor = (request: DialRequest) => Accepted | Promise<Accepted>;

/** What waits for a channel to serve. */
export interface Ready {
  /** Serves the channel until its end, and says what it carried. Rejects when it was reset. */
  serve(channel: Channel): Promise<Transferred | undefined>;
  /** There will be no channel. */
  drop(error: TunnelError): void;
}

/**
 * Asks the program about a dial; undefined when it leaves it to the list of what is allowed.
 *
 * @throws {TunnelError} `refused`, `unavailable`
 */
export async function askProgram(
  accept: DialAcceptor,
  facts: Omit<DialRequest, "refuse">,
  log: Log,
): Promise<Ready | undefined> {
  const request: DialRequest = { ...facts, refuse };
  let accepted: Accepted;
  try {
    accepted = await accept(request);
  } catch (cause) {
    if (cause instanceof TunnelError) throw cause;
    log.error("a dial could not be answered", { operator: facts.operator, why: describe(cause) });
    throw new TunnelError("unavailable", {
      action: "serve a dial",
      state: "the device's program has failed to answer it",
      cause,
    });
  }
  if (accepted === undefined) return undefined;
  if (typeof accepted === "function") return byHandler(accepted, request);
  return joined(fromStreams(accepted));
}

/** A connection that is joined to the channel. */
export function joined(target: Duplex): Ready {
  return {
    async serve(channel) {
      const { sent, received } = await join(channel, target);
      return { sent: received, received: sent };
    },
    drop: (error) => target.reset(error),
  };
}

function byHandler(handler: DialHandler, request: DialRequest): Ready {
  return {
    async serve(channel) {
      const { closed } = channel;
      const reset = (why: string) =>
        channel.reset(new TunnelError("reset", { action: "serve a connection", state: why }));
      try {
        await handler({ ...toStreams(channel), request, closed, reset });
      } catch (cause) {
        channel.reset(toTunnelError(cause, "serve a connection", "reset"));
        throw cause;
      }
      await closed;
      return undefined;
    },
    drop() {},
  };
}

function refuse(why: string): TunnelError {
  return new TunnelError("refused", { action: "serve a dial", state: why });
}
