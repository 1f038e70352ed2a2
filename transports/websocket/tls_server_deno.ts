/** A TLS server by `Deno.listenTls`; see tls_server.ts for what it lacks. */

import { delay } from "../../core/deadline.ts";
import type { RemoteAddress } from "../../core/transport.ts";
import { closeConn } from "./tcp.ts";
import { ALPN, type ServerConn, type TlsServer, type TlsServerOptions } from "./tls_server.ts";

/** Milliseconds before accepting goes on when the system had no connection to give. */
const ACCEPT_PAUSE = 100;

/** @throws one of `Deno.errors` when the address cannot be had */
export function listenDenoTls(options: TlsServerOptions): TlsServer {
  const listener = Deno.listenTls({ ...options, alpnProtocols: ALPN });
  const { hostname, port } = listener.addr as Deno.NetAddr;
  const stopped = new AbortController();
  return {
    address: { hostname, port },
    async *[Symbol.asyncIterator]() {
      while (!stopped.signal.aborted) {
        let conn: Deno.TlsConn;
        try {
          conn = await listener.accept();
        } catch {
          // One connection was gone again, or the system is out of descriptors: both pass. Nothing
          // tells when the second has, so without a pause this would spin.
          await delay(ACCEPT_PAUSE, stopped.signal);
          continue;
        }
        yield new DenoConn(conn);
      }
    },
    close() {
      if (stopped.signal.aborted) return;
      stopped.abort();
      listener.close();
    },
  };
}

class DenoConn implements ServerConn {
  readonly remote: RemoteAddress;
  readonly nagle = true;
  readonly #conn: Deno.TlsConn;

  constructor(conn: Deno.TlsConn) {
    const { hostname, port } = conn.remoteAddr;
    this.remote = { hostname, port };
    this.#conn = conn;
  }

  async handshake(): Promise<void> {
    await this.#conn.handshake();
  }

  read(target: Uint8Array): Promise<number | null> {
    return this.#conn.read(target);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  close(): void {
    closeConn(this.#conn);
  }
}
