/** The client's half of a sign-in, and what a signed-in session offers: requests and streams. */

import {
  Challenge,
  type DeviceInfo,
  type Peer,
  type Principal,
  type Renew,
  Reply,
  type Request,
  SignedIn,
  VERSIONS,
} from "./control.ts";
import { MessageStream } from "./control_stream.ts";
import { toTunnelError, TunnelError } from "./errors.ts";
import { withDeadline } from "./deadline.ts";
import type { AgreementJwk, PublicJwk } from "./identity/keys.ts";
import { joinSubject, makeProof } from "./identity/proof.ts";
import { MAX_GREETING } from "./message.ts";
import { fromRefusal } from "./refusal.ts";
import { CloseCode, type CloseInfo, type Session } from "./transport.ts";

/** Milliseconds for a sign-in, and for the answer to a request. */
const ANSWER_TIMEOUT = 10_000;
/** Requests under way at once; more than any caller has use for. */
const MAX_REQUESTS = 64;

/** Devices that {@linkcode Link.devices} takes from a relay at most, and pages of them. */
const MAX_DEVICES = 100_000;
const MAX_PAGES = 10_000;

/** Milliseconds that a retired session stays open after its last use. */
const RETIREMENT = 5_000;

/** How a member proves who it is. */
export interface CredentialClaim {
  readonly credential: string;
  readonly privateKey: CryptoKey;
}

/** How a client proves who it is: by a credential, or by a join string's secret for the first time. */
export type Claim =
  | CredentialClaim
  | {
    readonly secret: string;
    readonly publicKey: PublicJwk;
    readonly agreement: AgreementJwk;
    readonly privateKey: CryptoKey;
  };

export interface SignInOptions {
  readonly claim: Claim;
  /** The relay's `host:port` as it was dialled: the proof is good for that name alone. */
  readonly audience: string;
  /** Names this process among the sessions of its device; see {@linkcode newInstance}. */
  readonly instance: string;
  readonly agent: string;
  /** A device's; see `core/channel/freshness.ts`. */
  readonly epoch?: string;
  readonly signal?: AbortSignal;
}

/** A name for this process, 22 letters. */
export function newInstance(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 22);
}

/**
 * Signs in on a new session. The session is closed when that fails.
 *
 * @throws {TunnelError} `refused`, `protocol`, `timeout`, `reset`, `aborted`
 */
export async function signIn(session: Session, options: SignInOptions): Promise<Link> {
  const action = `sign in at ${options.audience}`;
  try {
    return await withDeadline(
      { action, timeout: ANSWER_TIMEOUT, signal: options.signal },
      () => greet(session, options, action),
    );
  } catch (cause) {
    const error = toTunnelError(cause, action, "reset");
    session.close({ code: CloseCode.done, reason: "" });
    throw error;
  }
}

async function greet(session: Session, options: SignInOptions, action: string): Promise<Link> {
  const { claim, audience, instance, agent, epoch } = options;
  const incoming = session.incoming.getReader();
  const { value: stream, done } = await incoming.read();
  incoming.releaseLock();
  if (done) throw endOf(await session.closed, action);
  const control = new MessageStream(stream);
  const limit = MAX_GREETING;
  const challenge = await control.receive(Challenge, { action, limit });
  const version = VERSIONS.find((version) => challenge.versions.includes(version));
  if (version === undefined) {
    throw new TunnelError("protocol", {
      action,
      state: `the relay speaks version ${challenge.versions.join(", ")}, this end ${
        VERSIONS.join(", ")
      }`,
      remedy: "update the older of the two",
    });
  }
  const joining = "secret" in claim;
  const subject = joining ? joinSubject(claim.secret, claim.agreement) : claim.credential;
  const { nonce } = challenge;
  const proof = await makeProof({ privateKey: claim.privateKey, nonce, audience, subject });
  const greeting = { version, agent, instance, proof, epoch };
  await control.send(
    joining
      ? {
        type: "join",
        ...greeting,
        secret: claim.secret,
        key: claim.publicKey,
        agreement: claim.agreement,
      }
      : { type: "auth", ...greeting, credential: claim.credential },
  );
  const answer = await control.receive(SignedIn, { action, limit });
  if (answer.type === "refused") throw fromRefusal(answer, action);
  return new Link(session, control, answer.principal, answer.credential, answer.spread);
}

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
  /** Why no reply comes any more. */
  #deaf?: TunnelError;
  #held = 0;
  #retired = false;
  #retirement?: ReturnType<typeof setTimeout>;

  constructor(
    readonly session: Session,
    control: MessageStream,
    readonly principal: Principal,
    /** Set by a join: the new credential. */
    readonly credential: string | undefined,
    /** Milliseconds over which a device and those like it spread when they come back. */
    readonly spread: number = 0,
  ) {
    this.#control = control;
    this.closed = session.closed.then((info) => {
      const final = endOf(info, "keep the session");
      if (final.code === "replaced" || final.code === "refused") throw final;
      return info;
    });
    this.closed.catch(() => {});
    this.#receive();
  }

  /** Whether anything uses it. */
  get isUsed(): boolean {
    return this.#held > 0;
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

  /** The round trip to the relay and back through its engine, milliseconds. */
  async ping(signal?: AbortSignal): Promise<number> {
    const began = performance.now();
    await this.request({ type: "ping", id: 0 }, { signal });
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
        // An answer that nobody waits for any more is dropped.
        this.#pending.get(reply.id)?.resolve(reply);
      }
    } catch (cause) {
      end = toTunnelError(cause, "hear the relay", "reset");
      if (end.code === "protocol") this.session.close({ code: CloseCode.protocol, reason: "" });
    }
    this.#deaf = end;
    for (const answer of this.#pending.values()) {
      answer.promise.catch(() => {}); // Its asker may have left.
      answer.reject(end);
    }
  }
}

/** What a close by the relay means to a client. */
function endOf(info: CloseInfo, action: string): TunnelError {
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
