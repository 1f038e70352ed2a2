/** Addresses and ports: what the transports share below the protocol. */

import { describe, toTunnelError, TunnelError } from "../core/errors.ts";

/** Milliseconds between attempts at the addresses of one name (RFC 8305, section 5). */
const STAGGER = 250;

/** The port of a `tunnel://` URL, 443 unless it names one. */
export function portOf(url: URL): number {
  return url.port === "" ? 443 : Number(url.port);
}

/** `::1` for `[::1]`. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

/** What a failed bind of Deno or Node means, in words that name the port and what to do. */
export function bindError(cause: unknown, protocol: string, host: string, port: number) {
  const action = `listen on ${protocol} ${host}:${port}`;
  const { code } = cause as { code?: string };
  if (code === "EADDRINUSE") {
    const state = "another program uses this port";
    return new TunnelError("unavailable", {
      action,
      state,
      remedy: "choose another: --listen",
      cause,
    });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new TunnelError("unavailable", {
      action,
      state: "this user may not bind this port",
      remedy: "give the program CAP_NET_BIND_SERVICE, or choose a port above 1023: --listen",
      cause,
    });
  }
  const remedy = "choose an address of this machine: --listen";
  return new TunnelError("unavailable", { action, state: describe(cause), remedy, cause });
}

/** How Deno tells of a CONNECTION_REFUSED (RFC 9000, section 20.1); the error has no code of it. */
const REFUSED = "the server refused to accept a new connection";

/** What a failed QUIC handshake means: that nobody answers, or that the relay has no place. */
export function handshakeError(cause: unknown, action: string): TunnelError {
  if (!describe(cause).includes(REFUSED)) return toTunnelError(cause, action, "unreachable");
  const state = "the relay takes no more connections now";
  return new TunnelError("limit", { action, state, remedy: "try again later", cause });
}

/** Why the others of a race are given up: one for all, because an error is not made for nothing. */
const OVER = new Error("another attempt was faster, or all of them were given up");

/** What {@linkcode staggered} may be told. */
export interface StaggerOptions<T> {
  /** Milliseconds between two starts; default 250. */
  stagger?: number;
  /** Releases the result of an attempt that succeeded after another had won. */
  discard: (late: T) => void;
}

/**
 * Tries each item a little after the one before it, or at once when that has failed; the first to
 * succeed wins and the others' signals fire (the connection racing of RFC 8305).
 *
 * @throws what the first attempt threw, when all have failed; the signal's reason when it fires
 */
export async function staggered<A, T>(
  items: readonly A[],
  signal: AbortSignal | undefined,
  attempt: (item: A, signal: AbortSignal) => Promise<T>,
  options: StaggerOptions<T>,
): Promise<T> {
  const { stagger = STAGGER, discard } = options;
  const race = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const errors: unknown[] = [];
  let next = 0;
  let running = 0;
  let over = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const finish = (settle: () => void) => {
    if (over) return;
    over = true;
    settle();
    race.abort(OVER);
  };
  const start = () => {
    clearTimeout(timer);
    if (over) return;
    if (next >= items.length) {
      if (running > 0) return;
      return finish(() => reject(errors[0] ?? new Error("there is no address to try")));
    }
    const index = next++;
    running++;
    attempt(items[index]!, race.signal).then(
      (value) => over ? discard(value) : finish(() => resolve(value)),
      (error) => {
        errors[index] = error;
        running--;
        start();
      },
    );
    if (next < items.length) timer = setTimeout(start, stagger);
  };
  const cancel = () => finish(() => reject(signal!.reason));

  signal?.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted) cancel();
  else start();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}
