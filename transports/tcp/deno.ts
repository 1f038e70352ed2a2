/** Local TCP sockets by Deno itself, for versions whose `node:net` will not do. It sends no RST. */

import { untilAborted } from "../../core/deadline.ts";
import { describe, TunnelError } from "../../core/errors.ts";
import type { Duplex } from "../../core/duplex.ts";
import { bindError } from "../address.ts";
import { byName } from "./by_name.ts";
import type { ConnectTcp, ListenTcp } from "./contract.ts";

const BUFFER = 128 * 1024;

/** Connects; see {@linkcode ConnectTcp}. */
export const connectTcp: ConnectTcp = byName(async (hostname, port, signal) => {
  const connecting = Deno.connect({ hostname, port });
  try {
    return new DenoSocket(await untilAborted(connecting, signal, "connect"));
  } catch (cause) {
    connecting.then((conn) => conn.close(), () => {}); // It came too late.
    throw cause instanceof TunnelError ? cause : failed(cause);
  }
});

/** Listens; see {@linkcode ListenTcp}. */
export const listenTcp: ListenTcp = ({ hostname, port }, onConnection) => {
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname, port });
  } catch (cause) {
    return Promise.reject(bindError(cause, "TCP", hostname, port));
  }
  (async () => {
    for await (const conn of listener) onConnection(new DenoSocket(conn));
  })();
  let open = true;
  const close = () => {
    if (open) listener.close();
    open = false;
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

class DenoSocket implements Duplex {
  readonly #conn: Deno.TcpConn;
  readonly #buffer = new Uint8Array(BUFFER);
  #directions = 2;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    conn.setNoDelay(true);
  }

  async read(): Promise<Uint8Array | null> {
    try {
      const count = await this.#conn.read(this.#buffer);
      if (count !== null) return this.#buffer.subarray(0, count);
    } catch (cause) {
      throw failed(cause);
    }
    this.#ended();
    return null;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    } catch (cause) {
      throw failed(cause);
    }
  }

  async closeWrite(): Promise<void> {
    try {
      await this.#conn.closeWrite();
    } catch (cause) {
      // The peer has closed altogether: there is no direction left to end.
      if (!(cause instanceof Deno.errors.NotConnected)) throw failed(cause);
    }
    this.#ended();
  }

  reset(): void {
    this.#directions = 0;
    this.#close();
  }

  #ended(): void {
    if (--this.#directions === 0) this.#close();
  }

  #close(): void {
    try {
      this.#conn.close();
    } catch {
      // It is closed.
    }
  }
}

function failed(cause: unknown): TunnelError {
  const state = WORDS.find(([type]) => cause instanceof type)?.[1] ?? describe(cause);
  return new TunnelError("reset", { action: "use the socket", state, cause });
}

const WORDS: [new () => Error, string][] = [
  [Deno.errors.ConnectionRefused, "connection refused"],
  [Deno.errors.ConnectionReset, "connection reset"],
  [Deno.errors.BrokenPipe, "connection reset"],
  [Deno.errors.TimedOut, "no answer"],
];
