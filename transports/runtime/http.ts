/** A device that answers HTTP by a function, with no port open anywhere. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeStream } from "node:stream/web";
import type { DialHandler, DialRequest } from "../../core/accept.ts";
import { describe } from "../../core/errors.ts";
import { type Log, SILENT } from "../../core/log.ts";
import { nodeStream } from "./node_stream.ts";

/** Answers a request that has come over a dial. */
export type HttpHandler = (request: Request, dial: DialRequest) => Response | Promise<Response>;

const BAD_REQUEST = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

/** The dial that a request came over. */
const dials = new WeakMap<object, DialRequest>();

/**
 * Serves HTTP/1.1 on dials: to be returned by `accept`. Requests of one connection are answered one
 * after the other, bodies go both ways with backpressure. A handler that fails is answered for with
 * 500, without a word of why.
 *
 * @param options.log hears of failures
 *
 * @example
 * ```ts
 * import { fileStore, httpHandler, serve } from "@tunnel/tunnel";
 *
 * const page = httpHandler((request, { operator }) =>
 *   new Response(`Hello ${operator}, this is ${new URL(request.url).pathname}\n`)
 * );
 * await using device = await serve({
 *   id: "x",
 *   store: fileStore("./x"),
 *   join: Deno.env.get("TUNNEL_JOIN"),
 *   accept: () => page,
 * });
 * await device.closed;
 * ```
 */
export function httpHandler(
  handler: HttpHandler,
  { log = SILENT }: { log?: Log } = {},
): DialHandler {
  const server = createServer((incoming, outgoing) => {
    const dial = dials.get(incoming.socket)!;
    const failed = (what: string) => (cause: unknown) =>
      log.warn(what, { operator: dial.operator, why: describe(cause) });
    answer(outgoing, async (signal) => {
      const request = requestOf(incoming, signal);
      if (!request) return new Response("This is no request.\n", { status: 400 });
      try {
        return await handler(request, dial);
      } catch (cause) {
        failed("a request was not answered")(cause);
        return new Response(null, { status: 500, headers: { connection: "close" } });
      }
    }).catch((cause) => {
      failed("an answer was cut off")(cause);
      outgoing.destroy();
    });
  });
  // A client that has ended its direction still waits for the answer.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on("clientError", (_, socket) => socket.end(BAD_REQUEST));
  return async (stream) => {
    const socket = nodeStream(stream);
    // What ends the connection is told by `closed`.
    socket.on("error", () => {});
    dials.set(socket, stream.request);
    server.emit("connection", socket);
    await stream.closed;
  };
}

/** Rejects when the answer could not be sent to its end. */
async function answer(
  outgoing: ServerResponse,
  make: (signal: AbortSignal) => Promise<Response>,
): Promise<void> {
  const gone = new AbortController();
  outgoing.on("close", () => gone.abort());
  const response = await make(gone.signal);
  outgoing.writeHead(response.status, response.statusText || undefined, headersOf(response));
  if (response.body && outgoing.req.method !== "HEAD") {
    return await pipeline(Readable.fromWeb(response.body as NodeStream), outgoing);
  }
  await response.body?.cancel();
  outgoing.end();
}

/** Undefined when it is none that the platform takes. */
function requestOf(incoming: IncomingMessage, signal: AbortSignal): Request | undefined {
  const { method = "GET", url = "/", headers } = incoming;
  const base = `http://${headers.host ?? "device"}`;
  // A proxy's form, `GET http://...`, is taken as it is.
  const whole = url.startsWith("/") ? `${base}${url}` : url;
  if (!URL.canParse(whole) || ["CONNECT", "TRACE", "TRACK"].includes(method)) return undefined;
  const fields = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    fields.append(incoming.rawHeaders[i]!, incoming.rawHeaders[i + 1]!);
  }
  const hasBody = method !== "GET" && method !== "HEAD";
  const body = hasBody ? Readable.toWeb(incoming) as ReadableStream : undefined;
  const init = { method, headers: fields, body, signal, ...(hasBody && { duplex: "half" }) };
  return new Request(whole, init);
}

function headersOf({ headers }: Response): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.fromEntries(headers);
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) fields["set-cookie"] = cookies;
  return fields;
}
