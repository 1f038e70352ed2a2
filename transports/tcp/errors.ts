/** What the system says of sockets, in the words that people know it by. */

import { describe, TunnelError } from "../../core/errors.ts";

/** What a socket's failure is to whoever uses it. */
export function failed(cause: unknown): TunnelError {
  return new TunnelError("reset", { action: "use the socket", state: explain(cause), cause });
}

/** A cause in few words; by the system's code, which Deno and Node give alike. */
function explain(cause: unknown): string {
  const { code } = cause as { code?: string };
  return (code && WORDS[code]) ?? describe(cause);
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
  ENOTFOUND: "the host name is unknown",
  EAI_AGAIN: "the host name is unknown",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the host",
  ETIMEDOUT: "no answer",
  EADDRNOTAVAIL: "this machine has no such address",
};
