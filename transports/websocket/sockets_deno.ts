/** TCP and TLS of Deno. */

import { describe } from "../../core/errors.ts";
import { SystemConnection } from "../system/connection.ts";
import type { ByteConn } from "./socket.ts";
import type { Sockets } from "./sockets.ts";
import { closeConn, connectByName } from "./tcp.ts";

/** How every failed check of a certificate begins; the errors themselves are all InvalidData. */
const CERTIFICATE = "invalid peer certificate";

/** {@linkcode Sockets.connect} */
export async function connectTcp(
  hostname: string,
  port: number,
  signal?: AbortSignal,
): Promise<Deno.TcpConn> {
  const connect = (hostname: string, signal: AbortSignal) =>
    Deno.connect({ hostname, port, signal });
  const conn = await connectByName(hostname, port, signal, connect);
  conn.setNoDelay(true);
  return conn;
}

export const denoSockets: Sockets<Deno.TcpConn> = {
  connect: connectTcp,
  async encrypt(tcp, { hostname, caCerts }): Promise<ByteConn> {
    const options = { hostname, caCerts: caCerts && [...caCerts], alpnProtocols: ["http/1.1"] };
    const system = SystemConnection.of(tcp);
    const conn = await Deno.startTls(tcp, options);
    try {
      await conn.handshake();
      return {
        read: (target) => conn.read(target),
        write: (bytes) => conn.write(bytes),
        close() {
          // The runtime's waits for what was written to be read, by a relay that may be gone.
          system?.shutdown();
          closeConn(conn);
        },
      };
    } catch (cause) {
      conn.close();
      throw cause;
    }
  },
  explain(cause) {
    const state = describe(cause);
    if (!(cause instanceof Deno.errors.InvalidData)) return { what: "connection", state };
    if (!state.startsWith(CERTIFICATE)) return { what: "tls", state };
    return { what: "certificate", state: state.slice(CERTIFICATE.length + 2) };
  },
};
