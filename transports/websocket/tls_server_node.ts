/** A TLS server by `node:net` and `node:tls`; see tls_server.ts for why. */

import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { freeNow } from "../../core/blocks.ts";
import type { RemoteAddress } from "../../core/transport.ts";
import { shortages } from "../shortage.ts";
import {
  ALPN,
  type ServerConn,
  SYSTEM_BACKLOG,
  type TlsServer,
  type TlsServerOptions,
} from "./tls_server.ts";

/** Connections that wait to be asked for; beyond that they are dropped as they come. */
const BACKLOG = 512;
/**
 * Bytes that are read ahead of being asked for, before reading pauses. Whoever reads all the time
 * never comes near it, and should not: Deno 2.9 loses an end that comes while reading pauses.
 */
const READ_AHEAD = 1024 * 1024;

/** @throws what the system says when the address cannot be had, with its code */
export async function listenNodeTls(options: TlsServerOptions): Promise<TlsServer> {
  const { hostname, port, cert, key } = options;
  let context = createSecureContext({ cert, key });
  const waiting: ServerConn[] = [];
  let open = true;
  let wake = () => {};
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
    const conn = new NodeConn(socket, context);
    if (!open || waiting.length >= BACKLOG) return conn.close();
    waiting.push(conn);
    wake();
  });
  await bind(server, hostname, port, shortages(options.onShortage));
  const address = server.address() as { address: string; port: number };
  return {
    address: { hostname: address.address, port: address.port },
    async *[Symbol.asyncIterator]() {
      while (open) {
        const conn = waiting.shift();
        if (conn) yield conn;
        else await new Promise<void>((resolve) => wake = resolve);
      }
    },
    renew({ cert, key }) {
      context = createSecureContext({ cert, key });
    },
    close() {
      open = false;
      server.close();
      for (const conn of waiting.splice(0)) conn.close();
      wake();
    },
  };
}

function bind(
  server: Server,
  host: string,
  port: number,
  failing: (cause: Error) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: SYSTEM_BACKLOG }, () => {
      server.removeAllListeners("error");
      // One connection was gone again, or the system is out of descriptors: the next may do better.
      server.on("error", failing);
      resolve();
    });
  });
}

class NodeConn implements ServerConn {
  readonly remote: RemoteAddress;
  readonly nagle = false;
  readonly #raw: Socket;
  readonly #context: SecureContext;
  #socket: TLSSocket | undefined;
  readonly #chunks: Uint8Array[] = [];
  #buffered = 0;
  #over = false;
  #error: Error | undefined;
  #reading: Reading | undefined;

  constructor(raw: Socket, context: SecureContext) {
    this.remote = { hostname: raw.remoteAddress ?? "", port: raw.remotePort ?? 0 };
    this.#raw = raw;
    this.#context = context;
    raw.on("error", (error) => this.#end(error));
    raw.on("close", () => this.#end());
  }

  handshake(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#error ?? new Deno.errors.Interrupted("it is closed"));
      const socket = new TLSSocket(this.#raw, {
        isServer: true,
        secureContext: this.#context,
        ALPNProtocols: ALPN,
      });
      this.#socket = socket;
      socket.once("secure", resolve);
      socket.on("error", (error) => (this.#end(error), reject(error)));
      socket.on("close", () => {
        this.#end();
        reject(this.#error ?? new Deno.errors.Interrupted("it ended during the handshake"));
      });
      socket.on("end", () => this.#end());
      socket.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    });
  }

  read(target: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#reading = { target, resolve, reject };
      this.#serve();
    });
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#socket!.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket!.end(() => resolve()));
  }

  close(): void {
    this.#socket?.destroy();
    this.#raw.destroy();
    this.#end();
  }

  #receive(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered >= READ_AHEAD) this.#socket!.pause();
    this.#serve();
  }

  #end(error?: Error): void {
    this.#over = true;
    this.#error ??= error;
    this.#serve();
  }

  /** Answers the read under way, once there is something to say. */
  #serve(): void {
    const reading = this.#reading;
    if (!reading || (this.#chunks.length === 0 && !this.#over)) return;
    this.#reading = undefined;
    if (this.#chunks.length > 0) reading.resolve(this.#take(reading.target));
    else if (this.#error) reading.reject(this.#error);
    else reading.resolve(null);
  }

  #take(target: Uint8Array): number {
    let filled = 0;
    for (let chunk; filled < target.length && (chunk = this.#chunks[0]);) {
      const part = chunk.subarray(0, target.length - filled);
      target.set(part, filled);
      filled += part.length;
      if (part.length < chunk.length) {
        this.#chunks[0] = chunk.subarray(part.length);
      } else {
        this.#chunks.shift();
        freeNow(chunk);
      }
    }
    this.#buffered -= filled;
    if (this.#buffered < READ_AHEAD && this.#socket!.isPaused()) this.#socket!.resume();
    return filled;
  }
}

interface Reading {
  readonly target: Uint8Array;
  resolve(count: number | null): void;
  reject(cause: Error): void;
}
