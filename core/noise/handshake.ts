/**
 * A handshake of the Noise Protocol Framework, revision 34 (section 5.3), with the suite
 * 25519_ChaChaPoly_SHA256. The two ends take turns until the pattern's messages are through:
 *
 *     initiator  writeMessage ──▶ readMessage   responder
 *                readMessage  ◀── writeMessage
 *                split            split
 */

import { concat } from "../bytes.ts";
import { TunnelError } from "../errors.ts";
import type { CipherState, CipherStateOptions } from "./cipher_state.ts";
import {
  type DhToken,
  hasStatic,
  type Pattern,
  type PatternName,
  PATTERNS,
  type Role,
  type Token,
  writerOf,
} from "./patterns.ts";
import { agree, type StaticKey } from "./static_key.ts";
import { platformSuite } from "./platform_suite.ts";
import { DH_LENGTH, type KeyPair, type Suite, SUITE_NAME } from "./suite.ts";
import { SymmetricState } from "./symmetric_state.ts";

/** Bytes of a handshake message, at most (section 3). */
export const MAX_MESSAGE = 65_535;
/** Bytes of a pre-shared key. */
const PSK_LENGTH = 32;

export interface HandshakeOptions {
  pattern: PatternName;
  initiator: boolean;
  /** What both ends must mean the same by, though neither sends it; default nothing. */
  prologue?: Uint8Array;
  /** This end's key, if and only if the pattern has one for it. */
  staticKey?: StaticKey;
  /** The other end's public key, 32 bytes, if and only if the pattern has it known beforehand. */
  remoteStatic?: Uint8Array;
  /** 32 bytes, if and only if the pattern has one. */
  psk?: Uint8Array;
  /** This end's private ephemeral key, 32 bytes, for tests: any other use gives the session away. */
  ephemeral?: Uint8Array;
  /** Default the platform's. */
  suite?: Suite;
}

/** What a handshake is for. */
export interface Transport {
  /** Seals what this end sends. */
  readonly send: CipherState;
  /** Opens what it receives. */
  readonly receive: CipherState;
  /** 32 bytes that only the two ends know, for uses beside this conversation. */
  readonly exported: Uint8Array<ArrayBuffer>;
}

/** One end of a handshake. A call that fails ends it. */
export class Handshake {
  readonly #role: Role;
  readonly #pattern: Pattern;
  readonly #suite: Suite;
  readonly #symmetric: SymmetricState;
  readonly #static?: StaticKey;
  readonly #psk?: Uint8Array;
  readonly #givenEphemeral?: Uint8Array;
  #ephemeral?: KeyPair;
  #remoteEphemeral?: Uint8Array;
  #remoteStatic?: Uint8Array<ArrayBuffer>;
  /** The same, once the message that brought it was authentic to its end. */
  #shownStatic?: Uint8Array<ArrayBuffer>;
  /** Messages that are through. */
  #done = 0;
  /** `busy` while a message is worked on, and for ever after one that failed. */
  #phase: "ready" | "busy" | "complete" | "split" = "ready";

  /** @throws {TunnelError} `usage` when a key is missing, or there is one that has no part in it */
  constructor(options: HandshakeOptions) {
    const { initiator, staticKey, remoteStatic, psk } = options;
    const role = initiator ? "initiator" : "responder";
    const remoteRole = initiator ? "responder" : "initiator";
    const pattern: Pattern = PATTERNS[options.pattern];
    const uses = pattern.messages.flat();
    demand(hasStatic(pattern, role), staticKey !== undefined, "a static key");
    demand(pattern.known.includes(remoteRole), remoteStatic !== undefined, "a remote static key");
    demand(uses.includes("psk"), psk !== undefined, "a pre-shared key");
    demandLength(remoteStatic, DH_LENGTH, "the remote static key");
    demandLength(psk, PSK_LENGTH, "the pre-shared key");
    demandLength(options.ephemeral, DH_LENGTH, "the ephemeral key");
    this.#role = role;
    this.#pattern = pattern;
    this.#static = staticKey;
    this.#psk = psk;
    this.#givenEphemeral = options.ephemeral;
    this.#shownStatic = this.#remoteStatic = remoteStatic?.slice();
    this.#suite = options.suite ?? platformSuite();
    this.#symmetric = new SymmetricState(`Noise_${options.pattern}_${SUITE_NAME}`, this.#suite);
    this.#symmetric.mixHash(options.prologue ?? EMPTY);
    for (const known of pattern.known) {
      this.#symmetric.mixHash(known === role ? staticKey!.publicKey : this.#remoteStatic!);
    }
  }

  /** Whether every message is through. */
  get complete(): boolean {
    return this.#done === this.#pattern.messages.length;
  }

  /**
   * The other end's public key, 32 bytes: as given, or as read from a message, which proves that its
   * writer holds the key, except the first of IN and IX (section 7.7). Whether it is the key of
   * someone welcome is for the caller to say.
   */
  get remoteStatic(): Uint8Array<ArrayBuffer> | undefined {
    return this.#shownStatic?.slice();
  }

  /**
   * 32 bytes that name this handshake alone, the same at both ends (section 11.2).
   *
   * @throws {TunnelError} `usage` before the handshake is complete
   */
  get handshakeHash(): Uint8Array<ArrayBuffer> {
    if (!this.complete) throw misuse("its hash is not known before its last message");
    return this.#symmetric.hash.slice();
  }

  /**
   * The next message, {@linkcode MAX_MESSAGE} bytes at most. How well its payload is protected
   * depends on the pattern and the message (section 7.7).
   *
   * @throws {TunnelError} `usage` out of turn, or when the payload is too long; `protocol` when the
   * other end's key is of low order
   */
  writeMessage(payload: Uint8Array = EMPTY): Promise<Uint8Array<ArrayBuffer>> {
    return this.#take(this.#role, async (tokens) => {
      const parts: Uint8Array[] = [];
      for (const token of tokens) {
        if (token === "e") {
          this.#ephemeral = this.#givenEphemeral
            ? this.#suite.importKeyPair(this.#givenEphemeral)
            : this.#suite.generateKeyPair();
          parts.push(this.#ephemeral.publicKey);
          this.#mixEphemeral(this.#ephemeral.publicKey);
        } else if (token === "s") {
          parts.push(this.#symmetric.encrypt(this.#static!.publicKey));
        } else {
          await this.#mixToken(token);
        }
      }
      parts.push(this.#symmetric.encrypt(payload));
      const message = concat(parts);
      if (message.length <= MAX_MESSAGE) return message;
      throw misuse(`a message would have ${message.length} bytes, and ${MAX_MESSAGE} are the most`);
    });
  }

  /**
   * The payload of the other end's next message, in memory of its own.
   *
   * @throws {TunnelError} `refused` when it is not authentic: altered, or made for another key, or
   * with other keys, or on another prologue; `protocol` when it is malformed; `usage` out of turn
   */
  readMessage(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const remoteRole = this.#role === "initiator" ? "responder" : "initiator";
    return this.#take(remoteRole, async (tokens) => {
      if (message.length > MAX_MESSAGE) throw malformed(message.length);
      let at = 0;
      const next = (length: number) => {
        if (message.length - at < length) throw malformed(message.length);
        return message.subarray(at, at += length);
      };
      for (const token of tokens) {
        if (token === "e") {
          this.#remoteEphemeral = next(DH_LENGTH).slice();
          this.#mixEphemeral(this.#remoteEphemeral);
        } else if (token === "s") {
          this.#remoteStatic = this.#decrypt(next(DH_LENGTH + this.#symmetric.overhead));
        } else {
          await this.#mixToken(token);
        }
      }
      const payload = this.#decrypt(next(Math.max(message.length - at, this.#symmetric.overhead)));
      this.#shownStatic = this.#remoteStatic;
      return payload;
    });
  }

  /**
   * The keys of the conversation. Once only, because two states of one key would use each nonce
   * twice.
   *
   * @throws {TunnelError} `usage` before the handshake is complete, and the second time
   */
  split(options: CipherStateOptions = {}): Transport {
    if (this.#phase !== "complete") {
      throw misuse("it is split once, when its last message is through");
    }
    this.#phase = "split";
    const { initiator, responder, exported } = this.#symmetric.split(options);
    return this.#role === "initiator"
      ? { send: initiator, receive: responder, exported }
      : { send: responder, receive: initiator, exported };
  }

  /** Works on the next message, which must be `writer`'s. */
  async #take<T>(writer: Role, work: (tokens: readonly Token[]) => Promise<T>): Promise<T> {
    if (this.#phase !== "ready" || writerOf(this.#done) !== writer) {
      throw misuse("it is over, or the turn is the other end's");
    }
    this.#phase = "busy";
    const result = await work(this.#pattern.messages[this.#done]!);
    this.#done++;
    this.#phase = this.complete ? "complete" : "ready";
    return result;
  }

  #mixEphemeral(publicKey: Uint8Array): void {
    this.#symmetric.mixHash(publicKey);
    // Section 9.2: with a pre-shared key, keys depend on something fresh from the first message on.
    if (this.#psk) this.#symmetric.mixKey(publicKey);
  }

  async #mixToken(token: DhToken | "psk"): Promise<void> {
    if (token === "psk") this.#symmetric.mixKeyAndHash(this.#psk!);
    else this.#symmetric.mixKey(await this.#agree(token));
  }

  /** The token names the initiator's key first. */
  #agree(token: DhToken): Promise<Uint8Array> {
    const [mine, theirs] = this.#role === "initiator" ? token : [token[1], token[0]];
    const remote = theirs === "e" ? this.#remoteEphemeral! : this.#remoteStatic!;
    if (mine === "e") return agree(this.#ephemeral!, remote);
    return theirs === "e" ? this.#static!.agree(remote) : this.#static!.agreeStatic(remote);
  }

  #decrypt(sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    try {
      return this.#symmetric.decrypt(sealed);
    } catch (cause) {
      throw new TunnelError("refused", {
        action: ACTION,
        state: "the other end's message is not authentic: it was altered on the way, or the two " +
          "ends do not go by the same keys and subject",
        remedy: "check that each end has the other's present key",
        cause,
      });
    }
  }
}

const ACTION = "shake hands with the other end";
const EMPTY = new Uint8Array(0);

function demand(wanted: boolean, given: boolean, what: string): void {
  if (wanted !== given) {
    throw misuse(wanted ? `its pattern needs ${what}` : `its pattern has no use for ${what}`);
  }
}

function demandLength(bytes: Uint8Array | undefined, length: number, what: string): void {
  if (bytes && bytes.length !== length) {
    throw misuse(`${what} has ${bytes.length} bytes, not ${length}`);
  }
}

function misuse(state: string): TunnelError {
  return new TunnelError("usage", { action: ACTION, state });
}

function malformed(length: number): TunnelError {
  return new TunnelError("protocol", {
    action: ACTION,
    state: `its message has ${length} bytes, which is not a length that one can have`,
    remedy: "check that both ends run versions that go together",
  });
}
