/** Heads of HTTP/1.1 messages (RFC 9112), as much as a handshake and a proxy take. */

import { TunnelError } from "../../core/errors.ts";

/** Bytes of a head that are read at most. */
export const MAX_HEAD = 16 * 1024;

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
}

export interface ResponseHead {
  readonly status: number;
  readonly headers: Headers;
}

/** What is sent back to a request that is none for a tunnel. */
export interface HttpResponse {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  /** Only its head is sent, as HEAD asks; it tells the length of the body all the same. */
  readonly isHead?: boolean;
}

/**
 * Reads up to the empty line. `rest` is what came behind it.
 *
 * @throws {TunnelError} `protocol` when the head is too large, `reset` when it is cut off
 */
export async function readHead(
  conn: { read(target: Uint8Array): Promise<number | null> },
): Promise<{ text: string; rest: Uint8Array }> {
  const bytes = new Uint8Array(MAX_HEAD);
  for (let length = 0; length < bytes.length;) {
    const count = await conn.read(bytes.subarray(length));
    if (count === null) {
      throw new TunnelError("reset", { action: "read an HTTP head", state: "it was cut off" });
    }
    const from = Math.max(0, length - 3);
    length += count;
    const end = endOfHead(bytes, from, length);
    if (end > 0) {
      const text = new TextDecoder("latin1").decode(bytes.subarray(0, end));
      return { text, rest: bytes.slice(end, length) };
    }
  }
  throw malformed(`it is longer than ${MAX_HEAD} bytes`);
}

/** @throws {TunnelError} `protocol` when it is not the head of an HTTP/1.1 request */
export function parseRequest(text: string): RequestHead {
  const lines = text.split("\r\n");
  const [, method, target] = /^([A-Z]{1,20}) ([!-~]+) HTTP\/1\.1$/.exec(lines[0]!) ?? [];
  if (!method || !target) throw malformed("the first line is not a request's");
  return { method, target, headers: parseHeaders(lines) };
}

/** @throws {TunnelError} `protocol` when it is not the head of an HTTP/1.x response */
export function parseResponse(text: string): ResponseHead {
  const lines = text.split("\r\n");
  const [, status] = /^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(lines[0]!) ?? [];
  if (!status) throw malformed("the first line is not a response's");
  return { status: Number(status), headers: parseHeaders(lines) };
}

/** True when the header's comma-separated list has this token, in whatever case. */
export function hasToken(headers: Headers, name: string, token: string): boolean {
  const value = headers.get(name) ?? "";
  return value.split(",").some((item) => item.trim().toLowerCase() === token.toLowerCase());
}

/** A whole response that ends its connection. */
export function formatResponse(response: HttpResponse): Uint8Array {
  const { status, headers = {}, body = "", isHead = false } = response;
  const content = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const all = new Headers({ "content-type": "text/plain; charset=utf-8", ...headers });
  // A 304 has no body, and its length would be taken for that of what was not sent.
  if (status !== 304) all.set("content-length", String(content.length));
  all.set("connection", "close");
  const head = new TextEncoder().encode(formatHead(`HTTP/1.1 ${status} `, [...all]));
  if (isHead) return head;
  const bytes = new Uint8Array(head.length + content.length);
  bytes.set(head);
  bytes.set(content, head.length);
  return bytes;
}

/** A head from its first line and its fields. */
export function formatHead(first: string, fields: [name: string, value: string][]): string {
  return [first, ...fields.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n");
}

function endOfHead(bytes: Uint8Array, from: number, to: number): number {
  for (let i = bytes.indexOf(13, from); i >= 0 && i + 3 < to; i = bytes.indexOf(13, i + 1)) {
    if (bytes[i + 1] === 10 && bytes[i + 2] === 13 && bytes[i + 3] === 10) return i + 4;
  }
  return -1;
}

function parseHeaders(lines: string[]): Headers {
  const headers = new Headers();
  for (const line of lines.slice(1, -2)) {
    const colon = line.indexOf(":");
    try {
      if (colon < 1) throw new TypeError("there is no colon");
      // Headers would take these off the ends of a value, where others see two lines.
      if (/[\r\n]/.test(line)) throw new TypeError("a line ends half-way");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    } catch (cause) {
      throw malformed("a header is malformed", cause);
    }
  }
  return headers;
}

function malformed(state: string, cause?: unknown): TunnelError {
  return new TunnelError("protocol", { action: "read an HTTP head", state, cause });
}
