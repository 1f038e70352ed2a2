/** The dials that devices have operators decide about: kept until somebody does, or nobody has. */

import type { Decision, WaitingDial } from "../control.ts";
import { withDeadline } from "../deadline.ts";
import { TunnelError } from "../errors.ts";
import { dialId } from "../identity/decision.ts";

/** Whether an operator may decide about a dial; the dialling operator is not asked about. */
export type MayApprove = (operator: string, dial: WaitingDial) => boolean | Promise<boolean>;

interface Entry {
  readonly dial: WaitingDial;
  readonly answer: PromiseWithResolvers<Decision>;
}

export class Approvals {
  readonly #most: number;
  readonly #mostPerDevice: number;
  readonly #entries = new Map<string, Entry>();

  constructor({ most, mostPerDevice }: { most: number; mostPerDevice: number }) {
    this.#most = most;
    this.#mostPerDevice = mostPerDevice;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Keeps a dial until it is decided about, withdrawn or out of time.
   *
   * @throws {TunnelError} `limit`; `timeout`; `gone` when it was withdrawn; the signal's reason
   */
  async keep(dial: WaitingDial, signal: AbortSignal): Promise<Decision> {
    const action = `have operators decide about a dial to ${dial.device}`;
    const id = await dialId(dial);
    if (this.#entries.has(id)) {
      throw new TunnelError("refused", { action, state: "the same dial waits already" });
    }
    const own = [...this.#entries.values()].filter(({ dial: { device } }) =>
      device === dial.device
    );
    if (own.length >= this.#mostPerDevice || this.size >= this.#most) {
      const state = `${own.length} dials to it wait, ${this.size} in all`;
      throw new TunnelError("limit", { action, state, remedy: "try again later" });
    }
    const answer = Promise.withResolvers<Decision>();
    this.#entries.set(id, { dial, answer });
    try {
      const timeout = dial.until - dial.since;
      return await withDeadline({ action, timeout, signal }, () => answer.promise);
    } finally {
      this.#entries.delete(id);
    }
  }

  /** Lets go of a device's dial that was given up. */
  withdraw(device: string, hello: string): void {
    for (const { dial, answer } of this.#entries.values()) {
      if (dial.device === device && dial.hello === hello) answer.reject(gone());
    }
  }

  /** A dial that waits. */
  find(id: string): WaitingDial | undefined {
    return this.#entries.get(id)?.dial;
  }

  /** The dials that wait, by ID, those behind `after` only. */
  list(after = ""): WaitingDial[] {
    const ids = [...this.#entries.keys()].filter((id) => id > after).sort();
    return ids.map((id) => this.#entries.get(id)!.dial);
  }

  /**
   * Hands a decision to the device that waits for it; whether it holds is for the device to say.
   *
   * @throws {TunnelError} `gone` when no such dial waits
   */
  decide(id: string, decision: Decision): void {
    const entry = this.#entries.get(id);
    if (!entry) throw gone();
    this.#entries.delete(id);
    entry.answer.resolve(decision);
  }
}

function gone(): TunnelError {
  return new TunnelError("gone", {
    action: "decide about a dial",
    state: "it waits no longer",
    remedy: "see `tunnel approvals` for those that do",
  });
}
