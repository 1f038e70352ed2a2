/**
 * Local TCP sockets by Deno itself, which are quicker than those of its `node:net`. For a RST they
 * need the C library; without it a reset is an end.
 */

import { untilAborted } from "../../core/deadline.ts";
import { TunnelError } from "../../core/errors.ts";
import { type Duplex, type ReadAhead, readAhead } from "../../core/duplex.ts";
import { giveBlock, takeBlock } from "../../core/blocks.ts";
import { bindError } from "../address.ts";
import { SystemConnection } from "../system/connection.ts";
import { shortages } from "../shortage.ts";
import { accepted, listenPromptly, type SystemListener } from "../system/listener.ts";
import { byName } from "./by_name.ts";
import type { ConnectTcp, ListenTcp } from "./contract.ts";
import { failed } from "./errors.ts";

/** Bytes that a socket reads into while little comes, so that many at rest take little memory. */
const SMALL = 1024;

/** Connects; see {@linkcode ConnectTcp}. */
export const connectTcp: ConnectTcp = byName(async (hostname, port, signal) => {
  const connecting = Deno.connect({ hostname, port, signal });
  try {
    const conn = await untilAborted(connecting, signal, "connect");
    conn.setNoDelay(true);
    return new DenoSocket(conn);
  } catch (cause) {
    connecting.then((conn) => conn.close(), () => {}); // It came too late.
    throw cause instanceof TunnelError ? cause : failed(cause);
  }
});

/** Listens; see {@linkcode ListenTcp}. */
export const listenTcp: ListenTcp = ({ hostname, port, onShortage }, onConnection) => {
  let listening: SystemListener<Deno.TcpListener>;
  try {
    listening = listenPromptly(() => Deno.listen({ hostname, port }));
  } catch (cause) {
    return Promise.reject(bindError(cause, "TCP", hostname, port));
  }
  const { socket: listener, isPrompt } = listening;
  const stopped = new AbortController();
  const failing = shortages(onShortage);
  (async () => {
    for await (const conn of accepted(() => listener, stopped.signal, failing)) {
      handOver(conn, isPrompt, onConnection);
    }
  })();
  const close = () => {
    if (!stopped.signal.aborted) listener.close();
    stopped.abort();
    return Promise.resolve();
  };
  const { addr } = listener;
  return Promise.resolve({
    hostname: addr.hostname,
    port: addr.port,
    close,
    [Symbol.asyncDispose]: close,
  });
};

const NOTHING = new Uint8Array(0);

async function handOver(
  conn: Deno.TcpConn,
  isPrompt: boolean,
  onConnection: (socket: ReadAhead) => void,
): Promise<void> {
  const socket = readAhead(new DenoSocket(conn));
  try {
    if (!isPrompt) conn.setNoDelay(true);
    // That a new socket takes bytes the system tells together with whether any have come.
    await conn.write(NOTHING);
  } catch {
    // Its peer has gone again, which its first read says.
  }
  onConnection(socket);
}

class DenoSocket implements Duplex {
  readonly #conn: Deno.TcpConn;
  readonly #system: SystemConnection | undefined;
  readonly #small = new Uint8Array(SMALL);
  /** What is read into while much comes. */
  #block: Uint8Array<ArrayBuffer> | undefined;
  /** Bytes of the last read. */
  #last = 0;
  #open = 2;
  /** The peer has ended its direction. */
  #atEnd = false;
  #error?: TunnelError;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.#system = SystemConnection.of(conn);
  }

  async read(): Promise<Uint8Array | null> {
    this.#check();
    const buffer = this.#fit();
    let count: number | null;
    try {
      count = await this.#conn.read(buffer);
    } catch (cause) {
      throw this.#failure(cause);
    }
    if (count !== null) return buffer.subarray(0, this.#last = count);
    this.#last = 0;
    this.#fit();
    this.#atEnd = true;
    this.#ended();
    return null;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#check();
    try {
      for (let at = 0; at < bytes.length;) {
        at += await this.#conn.write(at === 0 ? bytes : bytes.subarray(at));
      }
    } catch (cause) {
      throw this.#failure(cause);
    }
  }

  async closeWrite(): Promise<void> {
    this.#check();
    // The last direction to end is ended by closing all, which the system does with less.
    if (this.#open === 1 && this.#atEnd) return this.#ended();
    try {
      await this.#conn.closeWrite();
    } catch (cause) {
      // The peer has closed altogether: there is no direction left to end.
      if (!(cause instanceof Deno.errors.NotConnected)) throw this.#failure(cause);
    }
    this.#ended();
  }

  reset(error: TunnelError): void {
    this.#error ??= error;
    if (this.#open === 0) return;
    this.#open = 0;
    this.#system?.reset();
    this.#conn.close();
  }

  /** Memory for the next read, by how much the last one brought. */
  #fit(): Uint8Array<ArrayBuffer> {
    if (this.#last >= SMALL) return this.#block ??= takeBlock();
    if (this.#block) giveBlock(this.#block);
    this.#block = undefined;
    return this.#small;
  }

  #ended(): void {
    if (this.#open > 0 && --this.#open === 0) this.#conn.close();
  }

  #check(): void {
    if (this.#open > 0) return;
    throw this.#error ??
      new TunnelError("reset", { action: "use the socket", state: "it was closed" });
  }

  /** A reset from here ends what is under way by closing under it. */
  #failure(cause: unknown): TunnelError {
    return this.#error ?? failed(cause);
  }
}
