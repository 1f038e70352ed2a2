/** TCP and TLS of Node. */

import net from "node:net";
import tls from "node:tls";
import { describe } from "../../core/errors.ts";
import type { ByteConn } from "./socket.ts";
import type { Sockets } from "./sockets.ts";
import { connectByName } from "./tcp.ts";

/** Codes of errors that mean: this certificate is not trusted, or not for this name. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO|ISSUER|HOSTNAME|CRL/;

export const nodeSockets: Sockets<NodeConn> = {
  connect: (hostname, port, signal) => connectByName(hostname, port, signal, connect(port)),
  async encrypt({ socket }, { hostname, caCerts = [] }) {
    const isName = net.isIP(hostname) === 0;
    const secure = tls.connect({
      socket,
      host: hostname,
      // RFC 6066, section 3: no addresses here.
      servername: isName ? hostname : "",
      ca: [...platformRoots(), ...caCerts],
      ALPNProtocols: ["http/1.1"],
    });
    await happens(secure, "secureConnect");
    return new NodeConn(secure);
  },
  explain(cause) {
    const { code = "", message } = cause as { code?: string; message?: string };
    const state = message ?? describe(cause);
    if (CERTIFICATE.test(code)) return { what: "certificate", state: describe(state) };
    const what = /^ERR_(SSL|TLS)_|^EPROTO$/.test(code) ? "tls" : "connection";
    return { what, state: describe(state) };
  },
};

/** Those that Node trusts where it is told of no others. */
function platformRoots(): readonly string[] {
  const { getCACertificates } = tls as { getCACertificates?: (type: string) => string[] };
  return getCACertificates?.("default") ?? tls.rootCertificates;
}

function connect(port: number): (host: string, signal: AbortSignal) => Promise<NodeConn> {
  return async (host, signal) => {
    const socket = net.connect({ host, port, noDelay: true });
    const stop = () => socket.destroy(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    try {
      if (signal.aborted) stop();
      await happens(socket, "connect");
      return new NodeConn(socket);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  };
}

/** Waits for an event; rejects when the socket fails or ends before it. */
function happens(socket: net.Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      socket.off(event, onEvent).off("error", onError).off("close", onClose);
      settle();
    };
    const onEvent = () => finish(resolve);
    const onError = (cause: Error) => finish(() => reject(cause));
    const onClose = () => finish(() => reject(new Error("the connection was closed")));
    socket.once(event, onEvent).once("error", onError).once("close", onClose);
  });
}

/** A socket that is read when it is asked. */
class NodeConn implements ByteConn {
  #rest: Uint8Array | undefined;
  #ended = false;
  #error: Error | undefined;
  #wake = () => {};

  constructor(readonly socket: net.Socket) {
    socket.on("readable", () => this.#wake());
    socket.on("end", () => this.#settle(() => this.#ended = true));
    socket.on("error", (cause) => this.#settle(() => this.#error ??= cause));
    socket.on("close", () => this.#settle(() => this.#ended = true));
  }

  async read(target: Uint8Array): Promise<number | null> {
    for (;;) {
      const chunk = this.#rest ?? this.socket.read() as Uint8Array | null;
      if (chunk) {
        const taken = chunk.subarray(0, target.length);
        target.set(taken);
        this.#rest = taken.length < chunk.length ? chunk.subarray(taken.length) : undefined;
        return taken.length;
      }
      if (this.#error) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, (cause) => cause ? reject(cause) : resolve(bytes.length));
    });
  }

  close(): void {
    this.socket.destroy();
  }

  #settle(note: () => void): void {
    note();
    this.#wake();
  }
}
