/** The client's way to a WebSocket: TCP, a proxy if there is one, TLS, the upgrade. */

import { throwIfAborted, withDeadline } from "../../core/deadline.ts";
import { toTunnelError, TunnelError } from "../../core/errors.ts";
import { portOf, withoutBrackets } from "../address.ts";
import { connectThroughProxy } from "../proxy_connect.ts";
import { checkResponse, newNonce, upgradeRequest } from "./handshake.ts";
import { readHead } from "./http.ts";
import type { ByteConn } from "./socket.ts";
import type { Sockets } from "./sockets.ts";
import { closeConn } from "./tcp.ts";

/** Milliseconds from the first packet to the upgraded connection. */
const DIAL_TIMEOUT = 10_000;
export interface DialOptions {
  signal?: AbortSignal;
  /** Root certificates (PEM) beside the platform's. */
  caCerts?: string[];
  proxy?: URL;
}

export interface Dialled {
  readonly conn: ByteConn;
  /** What came behind the server's answer: its first frames. */
  readonly rest: Uint8Array;
}

/** @throws {TunnelError} `unreachable`, `usage`, `timeout`, or the signal's reason */
export async function dial<C extends ByteConn>(
  url: URL,
  options: DialOptions,
  sockets: Sockets<C>,
): Promise<Dialled> {
  const action = `connect ${url.host} by WebSocket`;
  const bound = { action, timeout: DIAL_TIMEOUT, signal: options.signal };
  try {
    return await withDeadline(bound, async (signal) => {
      const port = portOf(url);
      const tcp = options.proxy
        ? await connectThroughProxy(options.proxy, url.hostname, port, sockets.connect, signal)
        : await sockets.connect(url.hostname, port, signal);
      return await encrypt(tcp, url, sockets, { ...options, signal });
    });
  } catch (cause) {
    throw toTunnelError(cause, action, "unreachable");
  }
}

async function encrypt<C extends ByteConn>(
  tcp: C,
  url: URL,
  sockets: Sockets<C>,
  { signal, caCerts }: DialOptions & { signal: AbortSignal },
): Promise<Dialled> {
  const action = `connect ${url.host} by WebSocket`;
  let conn: ByteConn = tcp;
  // Closing is what ends a handshake at once; whatever waits for it then throws. It stays on, so that
  // a connection that comes at the last moment is not left behind: the signal is this dial's own.
  signal.addEventListener("abort", () => closeConn(conn), { once: true });
  try {
    throwIfAborted(signal, action);
    const hostname = withoutBrackets(url.hostname);
    conn = await sockets.encrypt(tcp, { hostname, caCerts });
    throwIfAborted(signal, action);
    return { conn, rest: await upgrade(conn, url) };
  } catch (cause) {
    closeConn(conn);
    throwIfAborted(signal, action);
    throw cause instanceof TunnelError ? cause : tlsError(cause, action, sockets);
  }
}

async function upgrade(conn: ByteConn, url: URL): Promise<Uint8Array> {
  const key = newNonce();
  const request = new TextEncoder().encode(upgradeRequest(url.host, key));
  for (let at = 0; at < request.length;) at += await conn.write(request.subarray(at));
  const { text, rest } = await readHead(conn);
  await checkResponse(text, key);
  return rest;
}

function tlsError(cause: unknown, action: string, sockets: Pick<Sockets, "explain">): TunnelError {
  const { what, state } = sockets.explain(cause);
  switch (what) {
    case "connection":
      return new TunnelError("unreachable", { action, state, cause });
    case "tls":
      return new TunnelError("unreachable", {
        action,
        state: `TLS failed: ${state}`,
        remedy: "check that this port is a relay's",
        cause,
      });
    case "certificate":
      return new TunnelError("unreachable", {
        action,
        state: `the relay's certificate is not trusted: ${state}`,
        remedy: "check the name, or trust its authority: join again, or add the certificate",
        cause,
      });
  }
}
