/** The way through an HTTP CONNECT proxy (RFC 9110, section 9.3.6). */

import { withDeadline } from "../core/deadline.ts";
import { describe, toTunnelError, TunnelError } from "../core/errors.ts";
import { badProxy, parseProxy } from "./proxy.ts";
import { formatHead, parseResponse, readHead } from "./websocket/http.ts";
import type { ByteConn } from "./websocket/socket.ts";
import type { Sockets } from "./websocket/sockets.ts";
import { closeConn } from "./websocket/tcp.ts";

/** Milliseconds until a proxy must have answered. */
const PROXY_TIMEOUT = 10_000;

/**
 * A TCP connection to `host:port` by way of the proxy, with Basic authentication (RFC 7617) when
 * its URL names a user.
 *
 * @throws {TunnelError} `unreachable` when the proxy does not answer or says no, `usage` when its
 * URL is unfit, `timeout` after 10 s, or the signal's reason; never with the password in it
 */
export async function connectThroughProxy<C extends ByteConn>(
  proxy: URL,
  host: string,
  port: number,
  connect: Sockets<C>["connect"],
  signal?: AbortSignal,
): Promise<C> {
  const action = `connect ${host}:${port} through the proxy ${proxy.host}`;
  const request = connectRequest(parseProxy(proxy, "the proxy given"), `${host}:${port}`);
  const remedy = "check the proxy's address, and that it is up";
  return await withDeadline({ action, timeout: PROXY_TIMEOUT, signal, remedy }, async (signal) => {
    const conn = await connect(proxy.hostname, Number(proxy.port) || 80, signal)
      .catch((cause) => Promise.reject(toTunnelError(cause, action, "unreachable").during(action)));
    // It stays on, so that a connection that comes at the last moment is not left behind: the signal
    // is this call's own.
    signal.addEventListener("abort", () => closeConn(conn), { once: true });
    try {
      if (signal.aborted) throw signal.reason;
      for (let at = 0; at < request.length;) at += await conn.write(request.subarray(at));
      const { text, rest } = await readHead(conn);
      const { status } = parseResponse(text);
      if (status < 200 || status > 299) throw refusedBy(status, action, proxy.username !== "");
      // A TLS server waits for its client, so these bytes are not the target's.
      if (rest.length > 0) throw unreachable(action, "it sent more than an answer", remedy);
      return conn;
    } catch (cause) {
      closeConn(conn);
      if (cause instanceof TunnelError && cause.code === "unreachable") throw cause;
      throw unreachable(action, describe(cause), remedy, cause);
    }
  });
}

function connectRequest(proxy: URL, authority: string): Uint8Array {
  const fields: [string, string][] = [["Host", authority]];
  if (proxy.username !== "" || proxy.password !== "") {
    fields.push(["Proxy-Authorization", `Basic ${credentials(proxy)}`]);
  }
  return new TextEncoder().encode(formatHead(`CONNECT ${authority} HTTP/1.1`, fields));
}

function credentials(proxy: URL): string {
  let user: string, password: string;
  try {
    [user, password] = [decodeURIComponent(proxy.username), decodeURIComponent(proxy.password)];
  } catch {
    // The cause would quote what must stay secret.
    throw badProxy(`its user or password`, "is not percent-encoded UTF-8", "encode % as %25");
  }
  if (user.includes(":")) throw badProxy("its user name", "has a colon", "RFC 7617 allows none");
  return btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${password}`)));
}

function refusedBy(status: number, action: string, authenticated: boolean): TunnelError {
  if (status !== 407) {
    return unreachable(action, `it answered ${status}`, "ask its operator to allow this target");
  }
  return authenticated
    ? unreachable(action, "it does not accept this user and password (407)", "correct them")
    : unreachable(action, "it asks for a user (407)", "use http://user:password@host:port");
}

function unreachable(action: string, state: string, remedy: string, cause?: unknown) {
  return new TunnelError("unreachable", { action, state, remedy, cause });
}
