/** What a signed-in session offers a member: requests and streams. */

import {
  type DeviceInfo,
  type Peer,
  type PresenceChange,
  type Principal,
  type Renew,
  Reply,
  type Request,
} from "./control.ts";
import type { MessageStream } from "./control_stream.ts";
import { untilAborted, withDeadline } from "./deadline.ts";
import { toTunnelError, TunnelError } from "./errors.ts";
import { fromRefusal } from "./refusal.ts";
import { CloseCode, type CloseInfo, type Session } from "./transport.ts";

/** Milliseconds for the answer to a request. */
const ANSWER_TIMEOUT = 10_000;
/** Requests under way at once; more than any caller has use for. */
const MAX_REQUESTS = 64;

/** Devices that {@linkcode Link.devices} takes from a relay at most, and pages of them. */
const MAX_DEVICES = 100_000;
const MAX_PAGES = 10_000;

/**
 * Milliseconds without an answer after which a relay is asked for a sign of life, and for that sign.
 * Together with another session they are less than what a person waits for, and than idle timeouts.
 */
const DOUBT = { after: 1_500, patience: 2_000 };

/** Milliseconds that a retired session stays open after its last use. */
const RETIREMENT = 5_000;

/** Hears of changes; of `null` when no more come. */
export type Watcher = (change: PresenceChange | null) => void;

/** A signed-in session. */
export class Link {
  /**
   * As the session's `closed`, but rejects with `replaced` or `refused` where the relay closed it
   * for good.
   */
  readonly closed: Promise<CloseInfo>;
  readonly #control: MessageStream;
  readonly #pending = new Map<number, PromiseWithResolvers<Reply>>();
  #id = 0;
  readonly #watchers = new Set<Watcher>();
  #watching?: Promise<Reply>;
  /** Why no reply comes any more. */
  #deaf?: TunnelError;
  #held = 0;
  #retired = false;
  #isSilent = false;
  #checking = false;
  #retirement?: ReturnType<typeof setTimeout>;
  #spread: number;

  constructor(
    readonly session: Session,
    control: MessageStream,
    readonly principal: Principal,
    /** Set by a join: the new credential. */
    readonly credential: string | undefined,
    spread: number = 0,
    /** Streams that the relay lets this end have open at once. */
    readonly places: number = Infinity,
  ) {
    this.#control = control;
    this.#spread = spread;
    this.closed = session.closed.then((info) => {
      const final = endOf(info, "keep the session");
      if (final.code === "replaced" || final.code === "refused") throw final;
      return info;
    });
    this.closed.catch(() => {});
    this.#receive();
  }

  /** Milliseconds over which a device and those like it spread when they come back, as last told. */
  get spread(): number {
    return this.#spread;
  }

  /** Whether anything uses it. */
  get isUsed(): boolean {
    return this.#held > 0;
  }

  /** Whether a stream would have to wait for another's end. */
  get isFull(): boolean {
    return this.#held >= this.places;
  }

  /** Counts a stream in use on this session; call the result once when it has ended. */
  hold(): () => void {
    this.#held++;
    return () => {
      this.#held--;
      this.#closeIfIdle();
    };
  }

  /**
   * Closes the session once nothing has used it for {@linkcode RETIREMENT}: new work goes elsewhere,
   * and what the relay had already sent this way has arrived by then.
   */
  retire(signal: AbortSignal): void {
    this.#retired = true;
    const stop = () => this.session.close();
    signal.addEventListener("abort", stop, { once: true });
    this.session.closed.catch(() => {}).finally(() => {
      clearTimeout(this.#retirement);
      signal.removeEventListener("abort", stop);
    });
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (!this.#retired || this.#held > 0) return;
    clearTimeout(this.#retirement);
    this.#retirement = setTimeout(() => this.#held === 0 && this.session.close(), RETIREMENT);
  }

  /** True once the session was given up because the relay was silent. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /**
   * Waits for what the relay is to say somewhere on this session. While it does not, it is asked for a
   * sign of life; without one the session is given up, long before its idle timeout.
   *
   * @param doubt milliseconds until it is asked, each time, and for the sign
   */
  async hear<T>(said: Promise<T>, doubt: { after: number; patience: number } = DOUBT): Promise<T> {
    const timer = setInterval(() => this.#check(doubt.patience), doubt.after);
    try {
      return await said;
    } finally {
      clearInterval(timer);
    }
  }

  /** One question at a time serves all who wait. */
  async #check(timeout: number): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      await this.request({ type: "ping", id: 0 }, { timeout });
    } catch (cause) {
      // Whatever else it is, the session knows of it.
      if (toTunnelError(cause, "", "reset").code !== "timeout") return;
      this.#isSilent = true;
      this.session.close({ code: CloseCode.timeout, reason: "the relay is silent" });
    } finally {
      this.#checking = false;
    }
  }

  /** The round trip to the relay and back through its engine, milliseconds. */
  async ping(signal?: AbortSignal): Promise<number> {
    return await this.#ping(undefined, signal);
  }

  async #ping(roundTrip: number | undefined, signal: AbortSignal | undefined): Promise<number> {
    const began = performance.now();
    const reply = await this.request({ type: "ping", id: 0, roundTrip }, { signal });
    if (reply.type === "pong" && reply.spread !== undefined) this.#spread = reply.spread;
    return performance.now() - began;
  }

  /**
   * One device.
   *
   * @throws {TunnelError} `unknown`
   */
  async device(id: string, signal?: AbortSignal): Promise<DeviceInfo> {
    const reply = await this.request({ type: "device", id: 0, device: id }, { signal });
    if (reply.type !== "device") throw unasked();
    return reply.device;
  }

  /**
   * What it takes to dial a device; nothing of it is to be believed unverified.
   *
   * @throws {TunnelError} `unknown`, `offline`
   */
  async peer(device: string, signal?: AbortSignal): Promise<Peer> {
    const reply = await this.request({ type: "peer", id: 0, device }, { signal });
    if (reply.type !== "peer") throw unasked();
    return reply;
  }

  /**
   * Every device that this relay knows, by ID.
   *
   * @throws {TunnelError} `protocol` when the relay lists them out of order, `limit` when there are
   * more than 100,000
   */
  async devices(signal?: AbortSignal): Promise<DeviceInfo[]> {
    const devices: DeviceInfo[] = [];
    let after: string | undefined;
    let pages = 0;
    for (;;) {
      const page = await this.request({ type: "devices", id: 0, after }, { signal });
      if (page.type !== "devices") throw unasked();
      for (const device of page.devices) {
        // A relay that repeats itself would never come to an end.
        if (device.id <= (devices.at(-1)?.id ?? "")) throw unasked();
        devices.push(device);
      }
      if (devices.length > MAX_DEVICES || ++pages > MAX_PAGES) throw tooMany();
      if (!page.more) return devices;
      if (page.next === undefined || page.next <= (after ?? "")) throw unasked();
      after = page.next;
    }
  }

  /**
   * Has changes of devices told from now on: as they happen, and their figures about once a second.
   * What was before is for {@linkcode Link.devices} to say, afterwards.
   *
   * @param tell called with every message, and with `null` when no more comes; it must not throw
   * @returns ends it
   * @throws {TunnelError} `refused`, `timeout`, `reset`, `closed`, `aborted`
   */
  async watch(tell: Watcher, signal?: AbortSignal): Promise<() => Promise<void>> {
    const stop = async () => {
      // The relay tells a session once, whoever listens here.
      if (!this.#watchers.delete(tell) || this.#watchers.size > 0) return;
      this.#watching = undefined;
      await this.request({ type: "unwatch", id: 0 });
    };
    this.#watchers.add(tell);
    this.#watching ??= this.request({ type: "watch", id: 0 });
    try {
      const reply = await untilAborted(this.#watching, signal, "watch the devices");
      if (reply.type !== "done") throw unasked();
    } catch (cause) {
      await stop().catch(() => {}); // What went wrong first is what counts.
      throw cause;
    }
    return stop;
  }

  /**
   * Tells the relay how far away it is: milliseconds, as {@linkcode Link.ping} measured.
   *
   * @returns what this one took
   */
  async report(roundTrip: number, signal?: AbortSignal): Promise<number> {
    const rounded = Math.min(600_000, Math.round(roundTrip * 100) / 100);
    return await this.#ping(rounded, signal);
  }

  /** A nonce for the proofs of one {@linkcode Link.renew}. */
  async nonce(signal?: AbortSignal): Promise<string> {
    const reply = await this.request({ type: "nonce", id: 0 }, { signal });
    if (reply.type !== "nonce") throw unasked();
    return reply.nonce;
  }

  /**
   * A new credential for this member; nothing of it is to be believed unverified.
   *
   * @throws {TunnelError} `refused`
   */
  async renew(request: Omit<Renew, "type" | "id">, signal?: AbortSignal): Promise<string> {
    const reply = await this.request({ type: "renew", id: 0, ...request }, { signal });
    if (reply.type !== "renewed") throw unasked();
    return reply.credential;
  }

  /**
   * Asks the relay something; the request's `id` is given here.
   *
   * @param options.timeout milliseconds; default 10,000
   * @throws {TunnelError} as the relay refused; `limit`, `timeout`, `reset`, `closed`, `aborted`
   */
  async request(
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
        if (reply.type === "presence") {
          for (const tell of this.#watchers) tell(reply);
          continue;
        }
        // An answer that nobody waits for any more is dropped.
        this.#pending.get(reply.id)?.resolve(reply);
      }
    } catch (cause) {
      end = toTunnelError(cause, "hear the relay", "reset");
      if (end.code === "protocol") this.session.close({ code: CloseCode.protocol, reason: "" });
    }
    this.#deaf = end;
    for (const tell of this.#watchers) tell(null);
    for (const answer of this.#pending.values()) {
      answer.promise.catch(() => {}); // Its asker may have left.
      answer.reject(end);
    }
  }
}

/** What a close by the relay means to a client. */
export function endOf(info: CloseInfo, action: string): TunnelError {
  const state = info.reason || "the relay closed it";
  switch (info.code) {
    case CloseCode.replaced:
      return new TunnelError("replaced", {
        action,
        state,
        remedy: "let one process run with one device's credential",
      });
    case CloseCode.refused:
      return new TunnelError("refused", { action, state });
    case CloseCode.limit:
      return new TunnelError("limit", { action, state, remedy: "try again later" });
    default:
      return new TunnelError("closed", { action, state });
  }
}

function tooMany(): TunnelError {
  return new TunnelError("limit", {
    action: "list devices",
    state: `the relay names more than ${MAX_DEVICES}`,
  });
}

/** The relay's answer is not one to the question. */
export function unasked(): TunnelError {
  return new TunnelError("protocol", {
    action: "hear the relay",
    state: "its answer is of another kind than the question",
  });
}
