/** What a client's WebSocket asks of its runtime: TCP and TLS. */

import type { ByteConn } from "./socket.ts";

/** How a runtime makes connections; a failed check of a certificate is told apart from the rest. */
export interface Sockets<C extends ByteConn = ByteConn> {
  /**
   * A TCP connection to the first address of a name that answers; small writes go out at once.
   *
   * @throws {TunnelError} `unreachable`, or the signal's reason
   */
  connect(hostname: string, port: number, signal?: AbortSignal): Promise<C>;
  /**
   * TLS on a connection, which it owns from then on: verified against the platform's roots and those
   * given (PEM), ALPN `http/1.1`. Closing the connection ends an attempt.
   *
   * @throws what the platform throws; see {@linkcode Sockets.explain}
   */
  encrypt(conn: C, options: { hostname: string; caCerts?: readonly string[] }): Promise<ByteConn>;
  /** What went wrong with TLS, in few words: the certificate, the protocol, or the connection. */
  explain(cause: unknown): { what: "certificate" | "tls" | "connection"; state: string };
}
