/** The device's last word on a new dial: somebody is asked about it, and the dial waits. */

import type { Offer } from "./control.ts";
import type { MessageStream } from "./control_stream.ts";
import { withDeadline } from "./deadline.ts";
import { toTunnelError, TunnelError } from "./errors.ts";
import type { Link } from "./link.ts";

/** Milliseconds that a decision may take by default: 2 minutes. */
export const DEFAULT_APPROVAL_TIMEOUT = 120_000;
/** Milliseconds that relays and services wait for one by default: 5 minutes. */
export const APPROVAL_WAIT = 300_000;
/** Dials that are asked about at once. */
const MAX_ASKED = 16;

/** A dial that waits for a decision: its operator is authenticated and its target allowed. */
export interface PendingDial {
  /** The device's own ID. */
  readonly device: string;
  readonly offer: Offer;
  /** Where it came from. */
  readonly link: Link;
}

export interface ApprovalOptions {
  /**
   * Asks about a dial, and stops asking when the signal fires.
   *
   * @returns who approved it, for the log, where that is known
   * @throws {TunnelError} `refused` with the reason
   */
  readonly ask: (dial: PendingDial, signal: AbortSignal) => Promise<string | undefined>;
  /** Milliseconds for a decision, less than 2^31; default 120,000. */
  readonly timeout?: number;
  /** Dials that are asked about at once, further ones are refused; default 16. */
  readonly most?: number;
}

/** Asks, within bounds. */
export class Approval {
  readonly #options: ApprovalOptions;
  readonly #timeout: number;
  #asked = 0;

  constructor(options: ApprovalOptions) {
    this.#options = options;
    this.#timeout = options.timeout ?? DEFAULT_APPROVAL_TIMEOUT;
  }

  /**
   * Tells the operator to wait and asks about the dial.
   *
   * @param messages the dial's stream, on which the other end may give up
   * @returns who approved it, where that is known
   * @throws {TunnelError} `refused`; `limit`; `aborted` when the dial was given up
   */
  async decide(
    dial: PendingDial,
    messages: MessageStream,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { ask, most = MAX_ASKED } = this.#options;
    const [action, timeout] = ["wait for approval", this.#timeout];
    if (this.#asked >= most) throw tooMany(action, most);
    this.#asked++;
    try {
      await messages.send({ type: "pending", timeout });
      return await messages.meanwhile(action, async (left) => {
        const options = { action, timeout, signal: AbortSignal.any([left, signal]) };
        return await withDeadline(options, (signal) => ask(dial, signal));
      });
    } catch (cause) {
      const error = toTunnelError(cause, action, "refused");
      throw error.code === "timeout" ? undecided(action, timeout, error) : error;
    } finally {
      this.#asked--;
    }
  }
}

function tooMany(action: string, most: number): TunnelError {
  return new TunnelError("limit", {
    action,
    state: `${most} dials to this device wait for approval`,
    remedy: "try again later",
  });
}

function undecided(action: string, timeout: number, cause: TunnelError): TunnelError {
  return new TunnelError("refused", {
    action,
    state: `nobody approved the dial within ${timeout / 1_000} s`,
    remedy: "ask whoever may approve it, and dial again",
    cause,
  });
}
