/** The opening handshake of a WebSocket: RFC 6455, section 4. */

import { TunnelError } from "../../core/errors.ts";
import {
  formatHead,
  hasToken,
  type HttpResponse,
  parseResponse,
  type RequestHead,
  type ResponseHead,
} from "./http.ts";

/** The path under which a relay takes tunnels. */
export const PATH = "/tunnel";
/** The subprotocol (Sec-WebSocket-Protocol): the multiplexer's frames, version 1. */
export const SUBPROTOCOL = "tunnel.1";

const VERSION = "13";
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A client's request; `host` is what the URL names, port included unless it is 443. */
export function upgradeRequest(host: string, key: string): string {
  return formatHead(`GET ${PATH} HTTP/1.1`, [
    ["Host", host],
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Key", key],
    ["Sec-WebSocket-Version", VERSION],
    ["Sec-WebSocket-Protocol", SUBPROTOCOL],
  ]);
}

/** A nonce for one request: 16 random bytes in base64. */
export function newNonce(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
}

/** The answer to a key: SHA-1 of it and a fixed text, in base64 (section 4.2.2, item 5.4). */
export async function acceptFor(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(key + GUID));
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

/** @throws {TunnelError} `unreachable` when the response does not open our tunnel (section 4.1) */
export async function checkResponse(text: string, key: string): Promise<void> {
  const { status, headers } = parseResponse(text);
  const problem = status !== 101
    ? `HTTP status ${status} came`
    : await problemOfAnswer(headers, key);
  if (!problem) return;
  throw new TunnelError("unreachable", {
    action: "open a WebSocket",
    state: problem,
    remedy: "check that this address is a relay's, and what proxies are on the way",
  });
}

/**
 * What a server answers: the head of a 101, or a response that turns the request away.
 *
 * @returns a text to go on with, or a response to end with; undefined when this is no upgrade at all
 */
export async function answerRequest(
  { method, target, headers }: RequestHead,
): Promise<string | HttpResponse | undefined> {
  if (!hasToken(headers, "upgrade", "websocket")) return undefined;
  if (method !== "GET") return turnAway(405, "WebSockets are opened by GET", { allow: "GET" });
  if (target.split("?")[0] !== PATH) return turnAway(404, `the tunnel is at ${PATH}`);
  if (!hasToken(headers, "connection", "upgrade") || !headers.has("host")) {
    return turnAway(400, "Connection: Upgrade or Host is missing");
  }
  if (headers.get("sec-websocket-version") !== VERSION) {
    const version = { upgrade: "websocket", "sec-websocket-version": VERSION };
    return turnAway(426, "WebSocket version 13 is spoken here", version);
  }
  const key = headers.get("sec-websocket-key") ?? "";
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return turnAway(400, "Sec-WebSocket-Key is malformed");
  if (!hasToken(headers, "sec-websocket-protocol", SUBPROTOCOL)) {
    return turnAway(400, `the subprotocol ${SUBPROTOCOL} must be offered`);
  }
  return formatHead("HTTP/1.1 101 Switching Protocols", [
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Accept", await acceptFor(key)],
    ["Sec-WebSocket-Protocol", SUBPROTOCOL],
  ]);
}

async function problemOfAnswer(
  headers: ResponseHead["headers"],
  key: string,
): Promise<string | undefined> {
  if (!hasToken(headers, "upgrade", "websocket") || !hasToken(headers, "connection", "upgrade")) {
    return "the answer does not upgrade the connection";
  }
  if (headers.get("sec-websocket-accept") !== await acceptFor(key)) {
    return "the answer is to another request";
  }
  if (headers.get("sec-websocket-protocol") !== SUBPROTOCOL) {
    return `the subprotocol ${SUBPROTOCOL} was not accepted`;
  }
  if (headers.has("sec-websocket-extensions")) return "an extension came that nobody asked for";
  return undefined;
}

function turnAway(
  status: number,
  line: string,
  headers: Record<string, string> = {},
): HttpResponse {
  return { status, headers, body: `${line}\n` };
}
