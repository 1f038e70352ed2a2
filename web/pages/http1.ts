/**
 * One request and its answer by HTTP/1.1 (RFC 9112) over a stream that is used for nothing else. The
 * answer is a stranger's: everything of it is bounded.
 */

import { concat } from "../../core/bytes.ts";
import { TunnelError } from "../../core/errors.ts";
import type { ByteStreams } from "../../core/streams.ts";
import { parseResponse, readHead } from "../../transports/websocket/http.ts";

/** Bytes of an answer's body, at most. */
export const MAX_BODY = 64 * 1024 * 1024;
/** Interim answers (1xx) that are passed over, at most. */
const MAX_INTERIM = 8;
/** Bytes of a line of a chunked body, at most. */
const MAX_LINE = 4_096;

export interface HttpRequest {
  readonly method: string;
  /** `/path?query` */
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Uint8Array;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}

/**
 * Sends a request and reads the whole answer. Does not end the stream.
 *
 * @throws {TunnelError} `protocol` when it is no answer, `limit` when it is too long, `reset` when it is
 * cut off, `usage` when the request cannot be one
 */
export async function exchange(
  { readable, writable }: ByteStreams,
  request: HttpRequest,
  { maxBody = MAX_BODY }: { maxBody?: number } = {},
): Promise<HttpAnswer> {
  const writer = writable.getWriter();
  // A server may answer before it has read all, and then reads no more.
  const sending = writer.write(encodeRequest(request));
  sending.catch(() => {});
  const source = new Source(readable.getReader());
  for (let i = 0; i <= MAX_INTERIM; i++) {
    const { text, rest } = await readHead(source);
    source.unread(rest);
    const { status, headers } = parseResponse(text);
    if (status === 101) throw malformed("the server changes the protocol");
    if (status < 200) continue;
    const isBare = request.method === "HEAD" || status === 204 || status === 304;
    const body = isBare ? new Uint8Array() : await readBody(source, headers, maxBody);
    return { status, headers, body: await decoded(body, headers, maxBody) };
  }
  throw malformed("interim answers alone came");
}

/** @throws {TunnelError} `usage` when a part has what is not allowed there */
export function encodeRequest({ method, path, headers, body }: HttpRequest): Uint8Array {
  const fields = [...headers];
  if (body || ["POST", "PUT", "PATCH"].includes(method)) {
    fields.push(["Content-Length", String(body?.length ?? 0)]);
  }
  const isSafe = /^[A-Za-z]{1,20}$/.test(method) && /^\/[!-~]*$/.test(path) &&
    fields.every(([name, value]) => /^[!#$%&'*+.^_`|~\w-]+$/.test(name) && !/[\r\n\0]/.test(value));
  if (!isSafe) {
    const state = "a line of it has characters that it must not have";
    throw new TunnelError("usage", { action: "send an HTTP request", state });
  }
  const lines = [
    `${method} ${path} HTTP/1.1`,
    ...fields.map(([name, value]) => `${name}: ${value}`),
  ];
  const head = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  return body ? concat([head, body]) : head;
}

/** Section 6.3: by chunks, by a length, or up to the end. */
async function readBody(
  source: Source,
  headers: Headers,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const coding = headers.get("transfer-encoding");
  if (coding !== null) {
    if (coding.trim().toLowerCase() !== "chunked") {
      throw malformed("its transfer coding is unknown");
    }
    return await readChunks(source, most);
  }
  const length = headers.get("content-length");
  if (length === null) return await source.rest(most);
  if (!/^\d{1,15}$/.test(length)) throw malformed("its length is malformed");
  if (Number(length) > most) throw tooLong(most);
  return await source.exactly(Number(length));
}

async function readChunks(source: Source, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const [, digits] = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(await source.line(MAX_LINE)) ??
      [];
    if (!digits) throw malformed("a chunk is malformed");
    const size = parseInt(digits, 16);
    total += size;
    if (total > most) throw tooLong(most);
    if (size === 0) break;
    parts.push(await source.exactly(size));
    if (await source.line(MAX_LINE) !== "") throw malformed("a chunk is longer than it says");
  }
  // Trailers are behind it, and nothing else on this stream.
  return concat(parts);
}

/** Servers that compress what was asked for as it is. */
async function decoded(
  body: Uint8Array<ArrayBuffer>,
  headers: Headers,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const coding = headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (coding === "identity" || body.length === 0) return body;
  if (coding !== "gzip" && coding !== "deflate") throw malformed("its content coding is unknown");
  const stream = new Blob([body]).stream().pipeThrough(new DecompressionStream(coding));
  const plain = await new Source(stream.getReader()).rest(most);
  headers.delete("content-encoding");
  return plain;
}

/** Bytes as they come, read in whatever portions. */
class Source {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #left: Uint8Array = new Uint8Array();

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
  }

  unread(bytes: Uint8Array): void {
    this.#left = this.#left.length === 0 ? bytes : concat([bytes, this.#left]);
  }

  /** Fills some of the target; null at the end. */
  async read(target: Uint8Array): Promise<number | null> {
    if (this.#left.length === 0 && !await this.#more()) return null;
    const taken = this.#left.subarray(0, target.length);
    target.set(taken);
    this.#left = this.#left.subarray(taken.length);
    return taken.length;
  }

  async exactly(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const count = await this.read(bytes.subarray(at));
      if (count === null) throw cutOff();
      at += count;
    }
    return bytes;
  }

  async rest(most: number): Promise<Uint8Array<ArrayBuffer>> {
    const parts = [this.#left];
    let total = this.#left.length;
    while (total <= most && await this.#more()) {
      parts.push(this.#left);
      total += this.#left.length;
    }
    if (total > most) throw tooLong(most);
    return concat(parts);
  }

  /** Up to a line end, without it. */
  async line(most: number): Promise<string> {
    for (let from = 0;;) {
      const end = this.#left.indexOf(10, from);
      if (end >= 0) {
        const text = new TextDecoder("latin1").decode(this.#left.subarray(0, end));
        this.#left = this.#left.subarray(end + 1);
        return text.replace(/\r$/, "");
      }
      if (this.#left.length > most) throw malformed("a line is too long");
      from = this.#left.length;
      const before = this.#left;
      if (!await this.#more()) throw cutOff();
      this.#left = concat([before, this.#left]);
    }
  }

  /** The next bytes in the place of those that there were; false at the end. */
  async #more(): Promise<boolean> {
    const { value, done } = await this.#reader.read();
    this.#left = value ?? new Uint8Array();
    return !done;
  }
}

const action = "read an HTTP answer";

function malformed(state: string): TunnelError {
  return new TunnelError("protocol", { action, state });
}

function cutOff(): TunnelError {
  return new TunnelError("reset", { action, state: "it was cut off" });
}

function tooLong(most: number): TunnelError {
  return new TunnelError("limit", { action, state: `it is longer than ${most} bytes` });
}
