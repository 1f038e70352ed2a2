/**
 * A TLS server by `Deno.listenTls`. With the C library it is what a relay wants; see tls_server.ts for
 * what it lacks without.
 */

import type { RemoteAddress } from "../../core/transport.ts";
import { SystemConnection } from "../system/connection.ts";
import { shortages } from "../shortage.ts";
import { accepted, listenPromptly, succeed, type SystemListener } from "../system/listener.ts";
import { closeConn } from "./tcp.ts";
import {
  ALPN,
  type ServerConn,
  SYSTEM_BACKLOG,
  type TlsServer,
  type TlsServerOptions,
} from "./tls_server.ts";

/** @throws what the system says when the address cannot be had, with its code */
export function listenDenoTls(options: TlsServerOptions): TlsServer {
  return new DenoTlsServer(options);
}

class DenoTlsServer implements TlsServer {
  readonly address: RemoteAddress;
  readonly renew: TlsServer["renew"];
  readonly #stopped = new AbortController();
  readonly #failed: (cause: unknown) => void;
  #listener: Listener;

  constructor(options: TlsServerOptions) {
    this.#failed = shortages(options.onShortage);
    this.#listener = listen(options);
    const { hostname, port } = this.#listener.socket.addr as Deno.NetAddr;
    this.address = { hostname, port };
    if (this.#listener.fd !== undefined) {
      this.renew = (certificate) => this.#renew({ ...options, ...certificate, port });
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ServerConn> {
    const current = () => this.#listener.socket;
    for await (const conn of accepted(current, this.#stopped.signal, this.#failed)) {
      yield new DenoConn(conn, this.#listener.isPrompt);
    }
  }

  close(): void {
    if (this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    this.#listener.socket.close();
  }

  /**
   * Another listener takes the place of this one, on the same port: the runtime has no way to change
   * the certificate of one. What has come and was not accepted yet is reset, and comes again.
   */
  #renew(options: TlsServerOptions): void {
    if (this.#stopped.signal.aborted) return;
    const before = this.#listener;
    this.#listener = succeed(before, () => listen({ ...options, reusePort: true }));
    before.socket.close();
  }
}

type Listener = SystemListener<Deno.TlsListener>;

function listen(options: TlsServerOptions & { reusePort?: boolean }): Listener {
  const open = () => Deno.listenTls({ ...options, alpnProtocols: ALPN });
  return listenPromptly(open, SYSTEM_BACKLOG);
}

class DenoConn implements ServerConn {
  readonly remote: RemoteAddress;
  readonly nagle: boolean;
  readonly #conn: Deno.TlsConn;
  #system: SystemConnection | undefined;
  #isWanted = false;

  constructor(conn: Deno.TlsConn, isPrompt: boolean) {
    const { hostname, port } = conn.remoteAddr;
    this.remote = { hostname, port };
    this.nagle = !isPrompt;
    this.#conn = conn;
    this.#system = SystemConnection.of(conn)?.expect();
  }

  async handshake(): Promise<void> {
    this.#isWanted = true;
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
    // What was never asked to shake hands is not to: the runtime would do so with what has come.
    if (this.#isWanted) this.#system?.shutdown();
    else this.#system?.reset();
    this.#system = undefined;
    closeConn(this.#conn);
  }
}
