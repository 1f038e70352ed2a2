/**
 * Sessions inside one process, without a network: what the engine's tests run on, and the reference
 * for the contract.
 */

import { Arrivals } from "../core/arrivals.ts";
import { untilAborted } from "../core/deadline.ts";
import { TunnelError } from "../core/errors.ts";
import {
  type CloseInfo,
  DEFAULT_LIMITS,
  type Incoming,
  type Limits,
  type Listener,
  type RemoteAddress,
  type Session,
  type Stream,
  type Transport,
} from "../core/transport.ts";

/** Bytes that a direction of a stream holds between its writer and its reader. */
const BUFFER = 64 * 1024;

/** A session with a switch that loses it without a word, as a pulled cable would. */
export interface MemorySession extends Session {
  /** Ends both sides abnormally: `closed` and everything pending rejects with `reset`. */
  lose(): void;
}

/** Two ends of one session; streams opened at one come in at the other. */
export function memoryPair(
  options: { a?: Partial<Limits>; b?: Partial<Limits>; host?: string; from?: string } = {},
): [MemorySession, MemorySession] {
  const { host = "memory", from = host } = options;
  const a = new End({ hostname: host, port: 1 }, { ...DEFAULT_LIMITS, ...options.a });
  const b = new End({ hostname: from, port: 1 }, { ...DEFAULT_LIMITS, ...options.b });
  a.peer = b;
  b.peer = a;
  return [a, b];
}

export interface MemoryTransport extends Transport {
  /** Those that are open, both ends. */
  readonly sessions: Set<MemorySession>;
  /** Where listeners see the connections come from that are made from now on. */
  from: string | undefined;
}

/** A transport whose listeners are found by name within this object alone. */
export function memoryTransport(): MemoryTransport {
  const listeners = new Map<string, MemoryListener>();
  const sessions = new Set<MemorySession>();
  let ports = 0;
  return {
    name: "memory",
    sessions,
    from: undefined,
    async connect(url, { signal, limits } = {}) {
      const listener = listeners.get(url.host);
      if (!listener) {
        throw new TunnelError("unreachable", {
          action: `connect ${url.host}`,
          state: "nothing listens there",
        });
      }
      const { hostname } = url;
      const options = { a: limits, b: listener.limits, host: hostname, from: this.from };
      const [session, theirs] = memoryPair(options);
      const accepted = listener.offer(theirs);
      try {
        await untilAborted(accepted, signal, `connect ${url.host}`);
      } catch (error) {
        session.lose();
        throw error;
      }
      for (const one of [session, theirs]) {
        sessions.add(one);
        one.closed.catch(() => {}).finally(() => sessions.delete(one));
      }
      return session;
    },
    listen({ hostname, port, limits }) {
      const address = { hostname, port: port || ++ports };
      const key = `${hostname}:${address.port}`;
      const listener = new MemoryListener(address, limits, () => listeners.delete(key));
      listeners.set(key, listener);
      return Promise.resolve(listener);
    },
  };
}

class MemoryListener implements Listener {
  readonly transport = "memory";
  readonly #queue = new ReadableStream<Incoming>({ start: (c) => void (this.#controller = c) });
  #controller!: ReadableStreamDefaultController<Incoming>;
  #open = true;

  constructor(
    readonly address: RemoteAddress,
    readonly limits: Partial<Limits> | undefined,
    readonly onClose: () => void,
  ) {}

  /** Settles when the session is accepted or refused. */
  offer(session: MemorySession): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {});
    const refuse = () => reject(unreachable("the listener refused"));
    this.#controller.enqueue({
      transport: this.transport,
      remote: session.remote,
      // deno-lint-ignore require-await -- what `admit` throws is a rejection
      async accept({ admit } = {}) {
        try {
          admit?.(session.remote);
        } catch (cause) {
          refuse();
          throw cause;
        }
        resolve();
        return session;
      },
      refuse,
    });
    return promise;
  }

  [Symbol.asyncIterator](): AsyncIterator<Incoming> {
    return this.#queue.values({ preventCancel: true });
  }

  close(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      this.onClose();
      this.#controller.close();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class End implements MemorySession {
  readonly transport = "memory";
  readonly closed: Promise<CloseInfo>;
  readonly incoming = new Arrivals();
  peer!: End;
  /** Streams of the peer's that are open here. */
  #theirs = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #pipes = new Set<Pipe>();
  #settle: PromiseWithResolvers<CloseInfo> = Promise.withResolvers();
  #over?: TunnelError;

  constructor(readonly remote: RemoteAddress, readonly limits: Limits) {
    this.closed = this.#settle.promise;
    this.closed.catch(() => {});
  }

  async openStream({ signal }: { signal?: AbortSignal } = {}): Promise<Stream> {
    await this.peer.#admit(signal);
    if (this.#over) throw this.#over;
    const there = new Pipe();
    const back = new Pipe();
    let directions = 2;
    const ended = () => --directions === 0 && this.peer.#release();
    for (const pipe of [there, back]) {
      for (const end of [this, this.peer]) end.#pipes.add(pipe);
      pipe.ended.then(() => {
        for (const end of [this, this.peer]) end.#pipes.delete(pipe);
        ended();
      });
    }
    this.peer.incoming.push({ readable: there.readable, writable: back.writable });
    return { readable: back.readable, writable: there.writable };
  }

  close(info: CloseInfo = { code: 0, reason: "" }): void {
    const error = new TunnelError("closed", {
      action: "use the session",
      state: `it was closed${info.reason ? `: ${info.reason}` : ""}`,
    });
    for (const end of [this, this.peer]) end.#finish(error, () => end.#settle.resolve(info));
  }

  lose(): void {
    const error = new TunnelError("reset", { action: "use the session", state: "it was lost" });
    for (const end of [this, this.peer]) end.#finish(error, () => end.#settle.reject(error));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return this.closed.then(() => {}, () => {});
  }

  #finish(error: TunnelError, settle: () => void): void {
    if (this.#over) return;
    this.#over = error;
    for (const pipe of this.#pipes) pipe.fail(error);
    for (const wake of this.#waiting.splice(0)) wake();
    settle();
    this.incoming.end(error.code === "closed" ? undefined : error);
  }

  async #admit(signal?: AbortSignal): Promise<void> {
    while (!this.#over && this.#theirs >= this.limits.streams) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      try {
        await untilAborted(promise, signal, "open a stream");
      } catch (error) {
        const index = this.#waiting.indexOf(resolve);
        // Woken and cancelled at once: the place goes to the next in line.
        if (index < 0) this.#waiting.shift()?.();
        else this.#waiting.splice(index, 1);
        throw error;
      }
    }
    this.#theirs++;
  }

  #release(): void {
    this.#theirs--;
    this.#waiting.shift()?.();
  }
}

/** One direction of a stream, with room for {@linkcode BUFFER} bytes between writer and reader. */
class Pipe {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** Fulfils when no byte can move any more. */
  readonly ended: Promise<void>;
  #end: () => void;
  #reading!: ReadableStreamDefaultController<Uint8Array>;
  #writing!: WritableStreamDefaultController;
  #room: PromiseWithResolvers<void> = Promise.withResolvers();
  #over = false;

  constructor() {
    ({ promise: this.ended, resolve: this.#end } = Promise.withResolvers<void>());
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#reading = controller),
      pull: () => this.#room.resolve(),
      cancel: () => this.#fail(reset("the peer stopped reading"), "writer"),
    }, { highWaterMark: BUFFER, size: (chunk) => chunk.length });
    this.writable = new WritableStream({
      start: (controller) => void (this.#writing = controller),
      write: (chunk, controller) => this.#write(chunk, controller.signal),
      close: () => {
        this.#over = true;
        this.#reading.close();
        this.#end();
      },
      abort: () => this.#fail(reset("the peer aborted"), "reader"),
    });
  }

  /** Ends both sides with an error. */
  fail(error: TunnelError): void {
    this.#fail(error, "both");
  }

  async #write(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    // A chunk is handed over, never shared: the writer may use its buffer again.
    if (chunk.length > 0) this.#reading.enqueue(chunk.slice());
    while (!this.#over && this.#reading.desiredSize! <= 0) {
      this.#room = Promise.withResolvers();
      await untilAborted(this.#room.promise, signal, "write");
    }
  }

  #fail(error: TunnelError, side: "reader" | "writer" | "both"): void {
    if (this.#over) return;
    this.#over = true;
    if (side !== "writer") this.#reading.error(error);
    if (side !== "reader") this.#writing.error(error);
    this.#room.resolve();
    this.#end();
  }
}

function reset(state: string): TunnelError {
  return new TunnelError("reset", { action: "use the stream", state });
}

function unreachable(state: string): TunnelError {
  return new TunnelError("unreachable", { action: "connect", state });
}
