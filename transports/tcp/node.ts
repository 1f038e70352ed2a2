/** Local TCP sockets by `node:net`: Node has it, and it can send a RST where Deno's own cannot. */

import net from "node:net";
import { freeNow, giveBlock, takeBlock } from "../../core/blocks.ts";
import { TunnelError } from "../../core/errors.ts";
import { type Duplex, readAhead } from "../../core/duplex.ts";
import { bindError } from "../address.ts";
import { byName } from "./by_name.ts";
import { shortages } from "../shortage.ts";
import type { ConnectTcp, ListenTcp } from "./contract.ts";
import { failed } from "./errors.ts";

/** Connects to a target; half-open sockets are kept, Nagle's algorithm is off. */
export const connectTcp: ConnectTcp = byName((host, port, signal) => {
  // Read into memory of its own: Deno's own buffer for each chunk costs more than the reading.
  const buffer = takeBlock();
  const callback = (count: number): boolean => {
    // Small ones are copied, so that what follows may come meanwhile.
    const isSmall = count <= SMALL;
    return isSmall ? local.received(buffer.slice(0, count)) : local.fill(buffer.subarray(0, count));
  };
  const socket = net.connect({
    host,
    port,
    noDelay: true,
    allowHalfOpen: true,
    onread: { buffer, callback },
  });
  const local = new TcpSocket(socket, buffer);
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      socket.off("error", onError);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const onError = (cause: Error) => finish(() => reject(failed(cause)));
    const onAbort = () => finish(() => (socket.destroy(), reject(signal.reason)));
    socket.once("error", onError);
    socket.once("connect", () => finish(() => resolve(local)));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
});

/** Listens; see {@linkcode ListenTcp}. */
export const listenTcp: ListenTcp = ({ hostname, port, onShortage }, onConnection) => {
  const server = net.createServer(
    { allowHalfOpen: true, noDelay: true, pauseOnConnect: true },
    (socket) => onConnection(readAhead(new TcpSocket(socket))),
  );
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(bindError(cause, "TCP", hostname, port)));
    server.listen({ host: hostname, port }, () => {
      server.removeAllListeners("error");
      server.on("error", shortages(onShortage));
      const address = server.address() as net.AddressInfo;
      resolve({
        hostname: address.address,
        port: address.port,
        close,
        [Symbol.asyncDispose]: close,
      });
    });
  });
};

const EMPTY = new Uint8Array(0);
/** Bytes that are copied rather than having the socket wait until they are read. */
const SMALL = 4 * 1024;
/** Bytes that come without being asked for: to stop and start a socket takes longer than to read it. */
const READ_AHEAD = 64 * 1024;

class TcpSocket implements Duplex {
  readonly #socket: net.Socket;
  readonly #chunks: Uint8Array[] = [];
  #queued = 0;
  /** Nothing comes before it is asked for. */
  #stopped = true;
  /** What was read last. */
  #given: Uint8Array = EMPTY;
  #memory?: Uint8Array<ArrayBuffer>;
  #ended = false;
  #closed = false;
  #error?: TunnelError;
  #wake?: () => void;

  /** @param memory what the socket reads into, from the pool, where it is not given chunks */
  constructor(socket: net.Socket, memory?: Uint8Array<ArrayBuffer>) {
    this.#socket = socket;
    this.#memory = memory;
    socket.on("data", (chunk: Uint8Array) => {
      if (!this.received(chunk)) socket.pause();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#wake?.();
    });
    socket.on("error", (cause) => this.#fail(failed(cause)));
    socket.on("close", () => {
      this.#closed = true;
      this.#wake?.();
    });
    socket.pause();
  }

  /** Takes what came; says whether more may come before it is asked for. */
  received(chunk: Uint8Array): boolean {
    this.#chunks.push(chunk);
    this.#queued += chunk.length;
    this.#wake?.();
    return !(this.#stopped = this.#queued >= READ_AHEAD);
  }

  /** Takes what lies in the socket's memory: no more may come before that is read. */
  fill(chunk: Uint8Array): false {
    this.received(chunk);
    this.#stopped = true;
    return false;
  }

  async read(): Promise<Uint8Array | null> {
    if (this.#given.buffer !== this.#memory?.buffer) freeNow(this.#given);
    this.#given = EMPTY;
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.#queued -= chunk.length;
        return this.#given = chunk;
      }
      if (this.#ended) {
        this.#release();
        return null;
      }
      this.#check();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      if (this.#stopped) this.#socket.resume();
      this.#stopped = false;
      await promise;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#check();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#socket.write(bytes, (cause) => cause ? reject(this.#error ?? failed(cause)) : resolve());
    await promise;
  }

  async closeWrite(): Promise<void> {
    this.#check();
    const { promise, resolve } = Promise.withResolvers<void>();
    // `end` calls back with an error when the socket has failed, which the reading side reports.
    this.#socket.end(() => resolve());
    this.#socket.once("close", () => resolve());
    await promise;
  }

  reset(error: TunnelError): void {
    this.#fail(error);
    this.#socket.resetAndDestroy();
  }

  /** Nothing more comes, and who asks for more has no use for what came before. */
  #release(): void {
    if (this.#memory) giveBlock(this.#memory);
    this.#memory = undefined;
  }

  #check(): void {
    if (this.#error) throw this.#error;
    if (!this.#closed) return;
    throw new TunnelError("reset", { action: "use the socket", state: "it was closed" });
  }

  #fail(error: TunnelError): void {
    this.#error ??= error;
    this.#wake?.();
  }
}
