/** What a signed-in session offers a member: requests and streams. */

import type {
  DeviceInfo,
  Peer,
  PresenceChange,
  Principal,
  Renew,
  Reply,
  Request,
} from "./control.ts";
import type { MessageStream } from "./control_stream.ts";
import { untilAborted } from "./deadline.ts";
import { toTunnelError, type TunnelError } from "./errors.ts";
import { endOf, tooMany, unasked } from "./link_errors.ts";
import { Requests } from "./requests.ts";
import { CloseCode, type CloseInfo, type Session } from "./transport.ts";

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
  readonly #requests: Requests;
  readonly #watchers = new Set<Watcher>();
  #watching?: Promise<Reply>;
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
    this.#spread = spread;
    this.closed = session.closed.then((info) => {
      const final = endOf(info, "keep the session");
      if (final.code === "replaced" || final.code === "refused") throw final;
      return info;
    });
    this.closed.catch(() => {});
    this.#requests = new Requests(control, {
      changed: (change) => this.#tell(change),
      ended: (why) => this.#deafened(why),
    });
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
      this.#retired = false; // What ends after the session has nothing to close any more.
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
      if (devices.length > MAX_DEVICES || ++pages > MAX_PAGES) throw tooMany(MAX_DEVICES);
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
  request(
    request: Request,
    options?: { timeout?: number; signal?: AbortSignal },
  ): Promise<Reply> {
    return this.#requests.send(request, options);
  }

  #tell(change: PresenceChange | null): void {
    for (const tell of this.#watchers) tell(change);
  }

  /** No reply comes any more. */
  #deafened(why: TunnelError): void {
    if (why.code === "protocol") this.session.close({ code: CloseCode.protocol, reason: "" });
    this.#tell(null);
  }
}
