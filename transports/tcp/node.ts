/** Local TCP sockets by `node:net`: Node has it, and it can send a RST where Deno's own cannot. */

import net from "node:net";
import { freeNow, giveBlock, takeBlock } from "../../core/blocks.ts";
import { concat } from "../../core/bytes.ts";
import { TunnelError } from "../../core/errors.ts";
import type { Duplex } from "../../core/duplex.ts";
import { byName } from "./by_name.ts";
import type { ConnectTcp, ListenTcp } from "./contract.ts";

/** Connects to a target; half-open sockets are kept, Nagle's algorithm is off. */
export const connectTcp: ConnectTcp = byName((host, port, signal) => {
  // Read into memory of its own: Deno's own buffer for each chunk costs more than the reading.
  const buffer = takeBlock();
  const callback = (count: number) => {
    local.received(buffer.subarray(0, count));
    return false;
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
export const listenTcp: ListenTcp = ({ hostname, port }, onConnection) => {
  const server = net.createServer(
    { allowHalfOpen: true, noDelay: true, pauseOnConnect: true },
    (socket) => onConnection(new TcpSocket(socket)),
  );
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new TunnelError("unavailable", {
          action: `listen on ${hostname}:${port}`,
          state: explain(cause),
          remedy: "choose another address: --listen",
          cause,
        }),
      ));
    server.listen({ host: hostname, port }, () => {
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

class TcpSocket implements Duplex {
  readonly #socket: net.Socket;
  #chunk: Uint8Array | null = null;
  /** What is being read, where it is memory that comes anew with every chunk. */
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
      socket.pause();
      this.received(chunk);
      this.#given = this.#chunk!;
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

  /** Takes what came; no more comes until it is read and the next is asked for. */
  received(chunk: Uint8Array): void {
    this.#chunk = this.#chunk ? concat([this.#chunk, chunk]) : chunk;
    this.#wake?.();
  }

  async read(): Promise<Uint8Array | null> {
    if (!this.#chunk) freeNow(this.#given);
    for (;;) {
      if (this.#chunk) {
        const chunk = this.#chunk;
        this.#chunk = null;
        return chunk;
      }
      if (this.#ended) {
        this.#release();
        return null;
      }
      this.#check();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#socket.resume();
      await promise;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#check();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#socket.write(bytes, (cause) => cause ? reject(failed(cause)) : resolve());
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

function failed(cause: Error): TunnelError {
  return new TunnelError("reset", { action: "use the socket", state: explain(cause), cause });
}

/** The system's words for the errors that people meet. */
function explain(cause: Error): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case "ECONNREFUSED":
      return "connection refused";
    case "ECONNRESET":
    case "EPIPE":
      return "connection reset";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "the host name is unknown";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "no route to the host";
    case "ETIMEDOUT":
      return "no answer";
    case "EADDRINUSE":
      return "another program uses this port";
    case "EACCES":
    case "EPERM":
      return "this user may not bind this port";
    case "EADDRNOTAVAIL":
      return "this machine has no such address";
    default:
      return cause.message;
  }
}
