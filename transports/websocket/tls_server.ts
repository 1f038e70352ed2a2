/**
 * TLS on the server's side: connections that have not shaken hands yet, and their bytes.
 *
 * Deno has two ways to it. `Deno.listenTls` is the quicker one, but cannot end a connection whose
 * handshake has not finished, so that a client that says nothing keeps its descriptor for as long as
 * it likes; it has no switch for Nagle's algorithm, and shows one certificate for ever. With the C
 * library it has all three. `node:tls` has them too, but copies each byte several times more, and
 * before Deno 2.9 cannot serve from a socket that was accepted first.
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { TunnelError } from "../../core/errors.ts";
import type { OnShortage } from "../shortage.ts";
import type { Certificate, RemoteAddress } from "../../core/transport.ts";
import { libc } from "../system/libc.ts";
import type { ByteConn } from "./socket.ts";
import { listenDenoTls } from "./tls_server_deno.ts";
import { listenNodeTls } from "./tls_server_node.ts";

/** A connection as it was accepted, before anything was spent on it. */
export interface ServerConn extends ByteConn {
  readonly remote: RemoteAddress;
  /** True where small writes may be held back (RFC 1122, section 4.2.3.4). */
  readonly nagle: boolean;
  /** Finishes the TLS handshake; call it before reading and writing. */
  handshake(): Promise<void>;
  /** Ends this direction, after what was written. */
  closeWrite(): Promise<void>;
  /** Ends both at once; any number of times. */
  close(): void;
}

/** Yields connections until it is closed. */
export interface TlsServer extends AsyncIterable<ServerConn> {
  readonly address: RemoteAddress;
  /** Shows another certificate from now on; absent where that cannot be done. */
  renew?(certificate: Certificate): void;
  close(): void;
}

export interface TlsServerOptions extends Certificate {
  hostname: string;
  port: number;
  onShortage?: OnShortage;
}

/** Application-Layer Protocol Negotiation (RFC 7301): what a browser offers for a WebSocket. */
export const ALPN = ["http/1.1"];

/**
 * Connections that the system keeps until they are accepted, if it keeps so many (Linux:
 * `net.core.somaxconn`). One for which there is no room is tried again by the client's system after 1,
 * 3 and 7 s, which is how long a fleet that comes back all at once would have somebody wait.
 */
export const SYSTEM_BACKLOG = 4_096;

/**
 * @throws {TunnelError} `usage` when certificate and key do not fit; what the system says when the
 * address cannot be had, with its code
 */
export async function listenTls(options: TlsServerOptions): Promise<TlsServer> {
  checkPair(options);
  return libc() || !canServeByNode() ? listenDenoTls(options) : await listenNodeTls(options);
}

/** True where `node:tls` can serve: since Deno 2.9. */
export function canServeByNode(): boolean {
  const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
  return major > 2 || (major === 2 && minor >= 9);
}

function checkPair({ hostname, port, cert, key }: TlsServerOptions): void {
  let state = "the key is not that of the certificate";
  let problem: unknown;
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return;
  } catch (cause) {
    [state, problem] = ["the certificate or its key cannot be read", cause];
  }
  const action = `listen on TCP ${hostname}:${port}`;
  const remedy = "give both in PEM, and the key of this very certificate";
  throw new TunnelError("usage", { action, state, remedy, cause: problem });
}
