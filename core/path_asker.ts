/** How an operator asks a device for a path: a dial with the first message of a handshake. */

import type { Target } from "./allow.ts";
import {
  type ChannelIdentity,
  type Established,
  initiate,
  type Resumption,
  type Said,
} from "./channel/handshake.ts";
import { Path } from "./channel/path.ts";
import { initiateShort } from "./channel/short_handshake.ts";
import { OwnTickets } from "./channel/tickets.ts";
import { Answer, type Dial } from "./control.ts";
import { MessageStream } from "./control_stream.ts";
import { TunnelError } from "./errors.ts";
import type { Link } from "./link.ts";
import { MAX_GREETING } from "./message.ts";
import { type KnownPeer, Peers, type PeersOptions } from "./peers.ts";
import type { Place } from "./places.ts";
import { fromRefusal } from "./refusal.ts";

/** Offers in one dial: a device that rotates its keys just now may call two of them stale. */
const MAX_OFFERS = 3;

/** How a path is asked for. */
export interface OpenOptions {
  readonly action: string;
  readonly signal: AbortSignal;
  /** What the handshake says of the dial. */
  readonly said?: Said;
  readonly resume?: Resumption;
  /** The device asks somebody first, who has so many milliseconds. */
  readonly onPending?: (timeout: number) => void;
}

export class PathAsker {
  readonly #identity: ChannelIdentity;
  readonly #peers: Peers;
  readonly #tickets = new OwnTickets();

  /** @param options its identity is read anew for each handshake */
  constructor(options: PeersOptions & { readonly identity: ChannelIdentity }) {
    this.#identity = options.identity;
    this.#peers = new Peers(options);
  }

  /**
   * Gets what it takes to dial a device.
   *
   * @throws {TunnelError} `unknown`, `offline`, `refused`, `reset`
   */
  async find(device: string, link: Link, signal: AbortSignal): Promise<void> {
    await this.#peers.find(device, link, signal);
  }

  /** Forgets what it takes to dial by a short handshake. */
  close(): void {
    this.#tickets.close();
  }

  /** A path for a device's target, from its handshake on. It has the place until its end. */
  async open(
    { link, release }: Place,
    device: string,
    target: Target,
    options: OpenOptions,
  ): Promise<{ path: Path; established: Established }> {
    const { action, signal } = options;
    try {
      let peer = await this.#peers.find(device, link, signal);
      for (let offers = 1;; offers++) {
        const made = await this.#offer(link, device, target, peer, options);
        if ("stream" in made) {
          const { established } = made;
          const { keys } = established;
          const carried = (bytes: number) => link.session.carried?.(bytes);
          const path = new Path({ ...made.stream.detach(), keys, onEnd: release, carried });
          return { path, established };
        }
        const fresh = await this.#peers.learn(device, made.answer);
        const isKnown = fresh.epoch === peer.epoch && fresh.key === peer.key;
        // A device takes no ticket that it has forgotten, but a full handshake.
        if ((isKnown && !made.isShort) || offers === MAX_OFFERS) throw deaf(action);
        peer = fresh;
      }
    } catch (cause) {
      release();
      throw cause;
    }
  }

  /** One dial: a stream with its keys, or what the device says to use instead. */
  async #offer(
    link: Link,
    device: string,
    target: Target,
    peer: KnownPeer,
    { action, signal, said = {}, resume, onPending }: OpenOptions,
  ): Promise<
    | { stream: MessageStream; established: Established }
    | { answer: Extract<Answer, { type: "stale" }>; isShort: boolean }
  > {
    const { host, port } = target;
    const { epoch } = peer;
    const subject = { device, host, port, protocol: "tcp", epoch } as const;
    const use = { peer, credential: this.#identity.credential };
    // To attach again takes a proof of its own, which a full handshake carries.
    const short = resume ? undefined : this.#tickets.take(device, use);
    const handshake = short
      ? initiateShort(short.ticket, short.number, subject, said)
      : await initiate(this.#identity, peer.key, subject, said, resume);
    const stream = new MessageStream(await link.session.openStream({ signal }));
    try {
      const dial: Dial = { type: "dial", ...subject, hello: handshake.hello, ...said };
      await stream.send(resume ? { ...dial, resume: true } : dial);
      const receive = () => stream.receive(Answer, { action, limit: MAX_GREETING, signal });
      let answer = await link.hear(receive());
      if (answer.type === "pending") {
        onPending?.(answer.timeout);
        answer = await receive();
      }
      if (answer.type === "refused") throw fromRefusal(answer, action);
      if (answer.type === "accepted") {
        const established = await handshake.finish(answer.hello);
        if (!resume && established.ticket) this.#tickets.add(device, established.ticket, use);
        return { stream, established };
      }
      if (answer.type === "pending") throw waitsTwice(action);
      await stream.close();
      if (short) this.#tickets.drop(device);
      return { answer, isShort: short !== undefined };
    } catch (cause) {
      await stream.close();
      throw cause;
    }
  }
}

function deaf(action: string): TunnelError {
  return new TunnelError("protocol", {
    action,
    state: "the device cannot read what was made for its key",
    remedy: "see that its credential and its key belong together: join it again",
  });
}

function waitsTwice(action: string): TunnelError {
  return new TunnelError("protocol", { action, state: "the device has it wait twice" });
}
