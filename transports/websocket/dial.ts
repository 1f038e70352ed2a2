/** The client's way to a WebSocket: TCP, a proxy if there is one, TLS, the upgrade. */

import { throwIfAborted, withDeadline } from "../../core/deadline.ts";
import { describe, toTunnelError, TunnelError } from "../../core/errors.ts";
import { portOf } from "../address.ts";
import { connectThroughProxy } from "../proxy.ts";
import { checkResponse, newNonce, upgradeRequest } from "./handshake.ts";
import { readHead } from "./http.ts";
import { closeConn, connectTcp, withoutBrackets } from "./tcp.ts";

/** Milliseconds from the first packet to the upgraded connection. */
const DIAL_TIMEOUT = 10_000;
/** How every failed check of a certificate begins; the errors themselves are all InvalidData. */
const CERTIFICATE = "invalid peer certificate";

export interface DialOptions {
  signal?: AbortSignal;
  /** Root certificates (PEM) beside the platform's. */
  caCerts?: string[];
  proxy?: URL;
}

export interface Dialled {
  readonly conn: Deno.TlsConn;
  /** What came behind the server's answer: its first frames. */
  readonly rest: Uint8Array;
}

/** @throws {TunnelError} `unreachable`, `usage`, `timeout`, or the signal's reason */
export async function dial(url: URL, options: DialOptions): Promise<Dialled> {
  const action = `connect ${url.host} by WebSocket`;
  const bound = { action, timeout: DIAL_TIMEOUT, signal: options.signal };
  try {
    return await withDeadline(bound, async (signal) => {
      const port = portOf(url);
      const tcp = options.proxy
        ? await connectThroughProxy(options.proxy, url.hostname, port, signal)
        : await connectTcp(url.hostname, port, signal);
      return await encrypt(tcp, url, { ...options, signal });
    });
  } catch (cause) {
    throw toTunnelError(cause, action, "unreachable");
  }
}

async function encrypt(
  tcp: Deno.TcpConn,
  url: URL,
  { signal, caCerts }: DialOptions & { signal: AbortSignal },
): Promise<Dialled> {
  const action = `connect ${url.host} by WebSocket`;
  let conn: Deno.Conn = tcp;
  // Closing is what ends a handshake at once; whatever waits for it then throws. It stays on, so that
  // a connection that comes at the last moment is not left behind: the signal is this dial's own.
  signal.addEventListener("abort", () => closeConn(conn), { once: true });
  try {
    throwIfAborted(signal, action);
    const hostname = withoutBrackets(url.hostname);
    const tls = await Deno.startTls(tcp, { hostname, caCerts, alpnProtocols: ["http/1.1"] });
    conn = tls;
    throwIfAborted(signal, action);
    await tls.handshake();
    return { conn: tls, rest: await upgrade(tls, url) };
  } catch (cause) {
    closeConn(conn);
    throwIfAborted(signal, action);
    throw cause instanceof TunnelError ? cause : tlsError(cause, action);
  }
}

async function upgrade(conn: Deno.TlsConn, url: URL): Promise<Uint8Array> {
  const key = newNonce();
  const request = new TextEncoder().encode(upgradeRequest(url.host, key));
  for (let at = 0; at < request.length;) at += await conn.write(request.subarray(at));
  const { text, rest } = await readHead(conn);
  await checkResponse(text, key);
  return rest;
}

function tlsError(cause: unknown, action: string): TunnelError {
  const state = describe(cause);
  if (!(cause instanceof Deno.errors.InvalidData)) {
    return new TunnelError("unreachable", { action, state, cause });
  }
  const detail = state.startsWith(CERTIFICATE) ? state.slice(CERTIFICATE.length + 2) : undefined;
  if (detail === undefined) {
    const remedy = "check that this port is a relay's";
    return new TunnelError("unreachable", { action, state: `TLS failed: ${state}`, remedy, cause });
  }
  return new TunnelError("unreachable", {
    action,
    state: `the relay's certificate is not trusted: ${detail}`,
    remedy: "check the name, or trust its authority: join again, or add the certificate",
    cause,
  });
}
