/** An operator at its relay: a presence, and a dialer over its sessions. */

import { untilAborted } from "../deadline.ts";
import { Dialer, type DialerOptions } from "../dialer.ts";
import { Verifier } from "../identity/credential.ts";
import { Presence, type PresenceOptions } from "./presence.ts";

export interface OperatorOptions
  extends
    Omit<PresenceOptions, "epoch" | "failFast">,
    Pick<DialerOptions, "trust" | "resumeWindow" | "approvalTimeout"> {
  /** Where dials are reported, where that is not `log`. */
  readonly dialLog?: DialerOptions["log"];
}

export class Operator {
  readonly presence: Presence;
  readonly dialer: Dialer;

  private constructor(presence: Presence, dialer: Dialer) {
    this.presence = presence;
    this.dialer = dialer;
  }

  /**
   * Signs in. The first failure to connect is final, a loss later is not: a program that cannot start
   * is told so at once.
   *
   * @param signal gives up the first attempt
   * @throws {TunnelError} `unreachable`, `refused`, `aborted` and what else a sign-in throws
   */
  static async open(options: OperatorOptions, signal?: AbortSignal): Promise<Operator> {
    const { identity, log, dialLog = log } = options;
    const presence = await Presence.of({
      ...options,
      failFast: true,
      onUp(link, outgrown) {
        options.onUp?.(link, outgrown);
        dialer.move(link);
      },
    });
    const dialer = new Dialer({
      ...options,
      links: presence.supervisor,
      identity: presence.membership,
      verifier: new Verifier(identity.authority),
      log: dialLog,
    });
    const operator = new Operator(presence, dialer);
    presence.start();
    try {
      await untilAborted(presence.first, signal, "connect");
    } catch (cause) {
      await operator.close();
      throw cause;
    }
    return operator;
  }

  /** Resets every channel, tells the devices, and signs out. Never rejects. */
  async close(): Promise<void> {
    // The channels are closed before the session that says so to their other ends.
    await this.dialer.close();
    await this.presence.close();
  }
}
