/** What a member asks its relay on the control stream, and the answers. */

import { type PresenceChange, Reply, type Request } from "./control.ts";
import type { MessageStream } from "./control_stream.ts";
import { withDeadline } from "./deadline.ts";
import { toTunnelError, TunnelError } from "./errors.ts";
import { fromRefusal } from "./refusal.ts";

/** Milliseconds for the answer to a request. */
const ANSWER_TIMEOUT = 10_000;
/** Requests under way at once; more than any caller has use for. */
const MAX_REQUESTS = 64;

/** Who is told what comes unasked. */
export interface RequestEvents {
  /** Of devices, for who watches them. */
  changed(change: PresenceChange): void;
  /** No more comes. Once. */
  ended(why: TunnelError): void;
}

/** Answers are told apart by the number of their request. It owns the stream. */
export class Requests {
  readonly #control: MessageStream;
  readonly #events: RequestEvents;
  readonly #pending = new Map<number, PromiseWithResolvers<Reply>>();
  #id = 0;
  /** Why no reply comes any more. */
  #deaf?: TunnelError;

  constructor(control: MessageStream, events: RequestEvents) {
    this.#control = control;
    this.#events = events;
    this.#receive();
  }

  /**
   * Asks something; the request's `id` is given here.
   *
   * @param options.timeout milliseconds; default 10,000
   * @throws {TunnelError} as the relay refused; `limit`, `timeout`, `reset`, `closed`, `aborted`
   */
  async send(
    request: Request,
    { timeout = ANSWER_TIMEOUT, signal }: { timeout?: number; signal?: AbortSignal } = {},
  ): Promise<Reply> {
    const action = `ask the relay for ${request.type}`;
    if (this.#pending.size >= MAX_REQUESTS) {
      throw new TunnelError("limit", { action, state: `${MAX_REQUESTS} requests are under way` });
    }
    if (this.#deaf) throw this.#deaf;
    const id = ++this.#id;
    const answer = Promise.withResolvers<Reply>();
    this.#pending.set(id, answer);
    try {
      const reply = await withDeadline({ action, timeout, signal }, async () => {
        await this.#control.send({ ...request, id });
        return await answer.promise;
      });
      if (reply.type === "refused") throw fromRefusal(reply, action);
      return reply;
    } finally {
      this.#pending.delete(id);
    }
  }

  async #receive(): Promise<void> {
    let end: TunnelError;
    try {
      for (;;) {
        const reply = await this.#control.receiveOrEnd(Reply, { action: "hear the relay" });
        if (reply === null) {
          end = new TunnelError("closed", { action: "ask the relay", state: "it has closed" });
          break;
        }
        // An answer that nobody waits for any more is dropped.
        if (reply.type === "presence") this.#events.changed(reply);
        else this.#pending.get(reply.id)?.resolve(reply);
      }
    } catch (cause) {
      end = toTunnelError(cause, "hear the relay", "reset");
    }
    this.#deaf = end;
    this.#events.ended(end);
    for (const answer of this.#pending.values()) {
      answer.promise.catch(() => {}); // Its asker may have left.
      answer.reject(end);
    }
  }
}
