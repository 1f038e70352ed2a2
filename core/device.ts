/** The device's half of dials: checks them on its own, connects to targets, and carries the bytes. */

import { askProgram, type DialAcceptor, joined, type Ready } from "./accept.ts";
import { allowedAddress, formatTarget, type Target } from "./allow.ts";
import { Approval, type ApprovalOptions } from "./approval.ts";
import { Channel, type ChannelOptions } from "./channel/channel.ts";
import { Freshness, keyOfHello } from "./channel/freshness.ts";
import type { ChannelIdentity, Response } from "./channel/handshake.ts";
import { Path, type PathKeys } from "./channel/path.ts";
import { ChannelTable } from "./channel/table.ts";
import { TakenTickets } from "./channel/tickets.ts";
import { type End, FromRelay, type Offer } from "./control.ts";
import { MessageStream } from "./control_stream.ts";
import { abortError, delay, withDeadline } from "./deadline.ts";
import { DEFAULT_RESUME_WINDOW } from "./dialer.ts";
import type { Duplex } from "./duplex.ts";
import { describe, toTunnelError, TunnelError } from "./errors.ts";
import type { Verifier } from "./identity/credential.ts";
import type { Link } from "./link.ts";
import type { Log } from "./log.ts";
import { MAX_GREETING } from "./message.ts";
import { authenticate, reach, type TargetConnector } from "./offer.ts";
import { toRefusal } from "./refusal.ts";
import { serveShared } from "./shared/serve.ts";
import { MAX_CONNECTIONS } from "./shared/session.ts";
import type { Stream } from "./transport.ts";

/** Milliseconds that closing may take to tell the operators. */
const FAREWELL = 2_000;

export type { TargetConnector };

export interface DeviceOptions {
  readonly id: string;
  /** Read anew for each handshake, so that it may change. */
  readonly identity: ChannelIdentity;
  /** By the authority of the fleet: operators' credentials must verify with it. */
  readonly verifier: Verifier;
  /** What may be connected to; nothing else is. */
  readonly allow: readonly Target[];
  readonly connect: TargetConnector;
  /** Has the first word on every new dial: it may serve one itself, whatever is allowed. */
  readonly accept?: DialAcceptor;
  /** Who is asked about every new dial; without it nobody is. */
  readonly approval?: ApprovalOptions;
  readonly log: Log;
  /** Milliseconds to read an offer, and to reach a target; default 10,000. */
  readonly timeout?: number;
  /** Milliseconds that a channel without a path is kept; default 300,000. */
  readonly resumeWindow?: number;
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly now?: () => number;
  readonly channel?: Omit<ChannelOptions, "announce" | "onDetached">;
}

/** What a path is made of. */
interface Way {
  readonly messages: MessageStream;
  readonly keys: PathKeys;
  readonly link: Link;
  readonly release: () => void;
}

/** What a dial says of itself, for the log. */
type Facts = Record<string, string | undefined>;

export class Device {
  readonly #options: DeviceOptions;
  readonly #freshness = new Freshness();
  readonly #tickets = new TakenTickets();
  readonly #channels: ChannelTable;
  readonly #approval: Approval | undefined;
  /** The link under the current path of each channel. */
  readonly #links = new WeakMap<Channel, Link>();
  readonly #closed = new AbortController();
  /** Milliseconds. */
  readonly #timeout: number;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.#timeout = options.timeout ?? 10_000;
    this.#approval = options.approval && new Approval(options.approval);
    this.#channels = new ChannelTable(options.resumeWindow ?? DEFAULT_RESUME_WINDOW);
  }

  /** What to sign in with: those who dial this device need it. */
  get epoch(): string {
    return this.#freshness.epoch;
  }

  /** Channels that are not over. */
  get size(): number {
    return this.#channels.size;
  }

  /** Serves the dials that come in on a link until its session ends. Never rejects. */
  async serve(link: Link): Promise<void> {
    try {
      for await (const stream of link.session.incoming) this.#serveDial(stream, link);
    } catch {
      // The session was lost, which its supervisor sees and reports.
    }
  }

  /**
   * Gives up every path on this link, for another that is up. The operators' ends see it at once and
   * dial anew, which leads to the newest link. A channel whose other end has not spoken yet stays.
   */
  leave(link: Link): void {
    const cause = new TunnelError("reset", {
      action: "use the channel",
      state: "the device has a better session",
    });
    for (const { channel } of [...this.#channels]) {
      if (channel.heard && this.#links.get(channel) === link) channel.detach(cause);
    }
  }

  /** Resets every channel and tells the operators, as far as they can be reached. */
  async close(): Promise<void> {
    const error = new TunnelError("closed", {
      action: "use the channel",
      state: "the device is shutting down",
    });
    this.#closed.abort(error);
    this.#tickets.close();
    const held = [...this.#channels];
    for (const { channel } of held) channel.reset(error);
    const told = held.filter(({ channel }) => channel.path).map(({ channel }) => channel.released);
    const late = new AbortController();
    await Promise.race([Promise.all(told), delay(FAREWELL, late.signal)]);
    late.abort();
    for (const { channel } of held) channel.abandon(error);
  }

  async #serveDial(stream: Stream, link: Link): Promise<void> {
    const { log } = this.#options;
    const messages = new MessageStream(stream);
    const release = link.hold();
    const facts: Facts = {};
    try {
      const options = { action: "serve a dial", timeout: this.#timeout, limit: MAX_GREETING };
      const offer = await messages.receive(FromRelay, options);
      if (offer.type === "end") return await this.#end(offer, messages, release);
      facts.operator = offer.operator;
      facts.target = formatTarget(offer);
      facts.reason = offer.reason;
      const response = await authenticate(offer, this.#options, this.#freshness, this.#tickets);
      // Before anybody is asked; where the program may serve what is not allowed, it is first.
      if (response && !this.#options.accept) allowedAddress(this.#options.allow, offer);
      if (!response || !this.#freshness.admit(offer.hello, offer.epoch)) {
        const { epoch } = this.#freshness;
        const { credential } = this.#options.identity;
        await messages.send({ type: "stale", credential, epoch });
        await messages.close();
        return release();
      }
      if (response.resume) return await this.#resume(response, messages, facts, link, release);
      const isShared = response.shared && this.#sharesOrThrows(offer);
      const dial = { device: this.#options.id, offer, link };
      facts.approved = await this.#approval?.decide(dial, messages, this.#closed.signal);
      const way = { messages, link, release };
      if (isShared) await this.#openShared(offer, response, way, facts);
      else await this.#open(offer, response, way, facts);
    } catch (cause) {
      const error = toTunnelError(cause, "serve a dial", "target");
      log.info("dial refused", { ...facts, why: error.parts.state });
      await messages.send(toRefusal(error)).catch(() => {}); // The relay has gone.
      await messages.close();
      release();
    }
  }

  async #open(
    offer: Offer,
    response: Response,
    way: Omit<Way, "keys">,
    facts: Facts,
  ): Promise<void> {
    const target = await this.#ready(offer, response, way.messages);
    try {
      const channel = await this.#accept(response, way, facts);
      this.#options.log.info("dial accepted", facts);
      this.#carry(channel, target, facts);
    } catch (cause) {
      target.drop(toTunnelError(cause, "serve a dial", "reset"));
      throw cause;
    }
  }

  /** True for a dial that asks for a channel of many connections. @throws when it is not to be had */
  #sharesOrThrows({ shared = 0 }: Offer): true {
    if (this.#approval || this.#options.accept) throw unshared("device is asked about each");
    if (shared < 2) throw unshared("relay takes each as a dial");
    return true;
  }

  async #openShared(
    offer: Offer,
    response: Response,
    way: Omit<Way, "keys">,
    facts: Facts,
  ): Promise<void> {
    const { log } = this.#options;
    const address = allowedAddress(this.#options.allow, offer);
    const channel = await this.#accept(response, way, facts, true);
    log.info("dial accepted", { ...facts, shared: true });
    const connections = Math.min(offer.shared!, MAX_CONNECTIONS);
    const connect = () => this.#reach(address);
    serveShared(channel, { connections, connect, log, facts }).then(async (count) => {
      const ended = await channel.closed.then(() => "ended", () => "reset");
      log.info(`dial ${ended}`, { ...facts, connections: count });
    });
  }

  /** Says yes to a dial: the channel of it, on its first path. */
  async #accept(
    response: Response,
    { messages, link, release }: Omit<Way, "keys">,
    facts: Facts,
    shared?: boolean,
  ): Promise<Channel> {
    const ownCredential = this.#options.identity.credential;
    const { hello, established } = await response.accept(0, shared);
    await messages.send({ type: "accepted", hello });
    const { id, secret, keys, ticket } = established;
    const { credential, remoteKey } = response;
    if (ticket) this.#tickets.add(ticket, { credential, remoteKey, ownCredential });
    const channel = new Channel({
      ...this.#options.channel,
      onDetached: (cause) => {
        if (!channel.heard) return channel.abandon(cause);
        this.#options.log.info("channel detached", { ...facts, why: cause.parts.state });
        this.#channels.detached(id);
      },
    });
    this.#channels.add({
      channel,
      id,
      secret,
      operatorKey: remoteKey,
      target: facts.target!,
      attempt: 0,
      hello: keyOfHello(response.hello),
    });
    this.#attach(channel, { messages, keys, link, release }, 0);
    return channel;
  }

  /** What a dial is connected to, once it is there. */
  async #ready(offer: Offer, response: Response, messages: MessageStream): Promise<Ready> {
    const { accept } = this.#options;
    const served = accept && await this.#ask(accept, offer, response, messages);
    if (served) return served;
    const address = allowedAddress(this.#options.allow, offer);
    const target = await this.#reach(address);
    return joined(target);
  }

  #reach(address: { hostname: string; port: number }): Promise<Duplex> {
    return reach(address, this.#options, { timeout: this.#timeout, signal: this.#closed.signal });
  }

  async #ask(
    accept: DialAcceptor,
    { operator, host, port, reason }: Offer,
    { remoteKey }: Response,
    messages: MessageStream,
  ): Promise<Ready | undefined> {
    const action = "serve a dial";
    const key = { kty: "OKP", crv: "X25519", x: remoteKey } as const;
    const facts = { operator, key, target: { host, port }, reason };
    return await messages.meanwhile(action, async (left) => {
      const signal = AbortSignal.any([left, this.#closed.signal]);
      return await withDeadline({ action, timeout: this.#timeout, signal }, async (signal) => {
        const ready = await askProgram(accept, { ...facts, signal }, this.#options.log);
        if (signal.aborted) ready?.drop(abortError(signal, action));
        return ready;
      });
    });
  }

  /** Attaches a channel that exists to a new path. */
  async #resume(
    response: Response,
    messages: MessageStream,
    facts: Facts,
    link: Link,
    release: () => void,
  ): Promise<void> {
    const { id, attempt, received } = response.resume!;
    const held = this.#channels.find(id);
    const isTheirs = held?.operatorKey === response.remoteKey && held.target === facts.target;
    if (!held || !isTheirs || !await response.proves(held.secret)) throw gone();
    // Of two at once the later one wins, whichever comes first.
    if (attempt <= held.attempt) throw overtaken();
    held.attempt = attempt;
    const { hello, established } = await response.accept(held.channel.received);
    await messages.send({ type: "accepted", hello });
    if (held.attempt !== attempt) throw overtaken();
    held.hello = keyOfHello(response.hello);
    this.#channels.attached(id);
    this.#attach(held.channel, { messages, keys: established.keys, link, release }, received);
    this.#options.log.info("channel resumed", facts);
  }

  #attach(channel: Channel, { messages, keys, link, release }: Way, received: number): void {
    const carried = (bytes: number) => link.session.carried?.(bytes);
    this.#links.set(channel, link);
    channel.attach(new Path({ ...messages.detach(), keys, onEnd: release, carried }), received);
  }

  /** Ends a channel whose operator may not go on. A relay could as well never attach it again. */
  async #end({ hello, state }: End, messages: MessageStream, release: () => void): Promise<void> {
    const held = this.#channels.findByHello(hello);
    held?.channel.abandon(new TunnelError("refused", { action: "use the channel", state }));
    await messages.close();
    release();
  }

  async #carry(channel: Channel, target: Ready, facts: Facts): Promise<void> {
    const { log } = this.#options;
    try {
      const carried = await target.serve(channel);
      await channel.closed;
      log.info("dial ended", { ...facts, ...carried });
    } catch (cause) {
      log.info("dial reset", { ...facts, why: describe(cause) });
    }
  }
}

/** The operator's program takes this for an answer: every connection is dialled, as if it had not asked. */
function unshared(why: string): TunnelError {
  const state = `connections share no channel: the ${why}`;
  return new TunnelError("refused", { action: "share a channel", state });
}

function gone(): TunnelError {
  return new TunnelError("gone", {
    action: "resume the channel",
    state: "the device does not know it any more",
  });
}

function overtaken(): TunnelError {
  return new TunnelError("refused", {
    action: "resume the channel",
    state: "a later attempt came before it",
  });
}
