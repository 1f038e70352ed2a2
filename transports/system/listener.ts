/** TCP listeners of the runtime, with the switches of the system that it has no option for. */

import { delay } from "../../core/deadline.ts";
import { type Described, withDescriptor } from "./descriptor.ts";
import {
  IPPROTO_TCP,
  libc,
  SHUT_RDWR,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
  writeOption,
} from "./libc.ts";

/** Milliseconds before accepting goes on when the system had no connection to give. */
const ACCEPT_PAUSE = 100;

/** A listener, and its descriptor where the system can be asked. */
export interface SystemListener<T> extends Described<T> {
  /** True where what it accepts sends small writes at once (RFC 9293, section 3.7.4). */
  readonly isPrompt: boolean;
}

/**
 * Listens, with Nagle's algorithm off in whatever is accepted.
 *
 * @param open makes the listener, and nothing else
 * @param backlog connections that the system keeps until they are accepted, if it keeps so many;
 * default the runtime's
 * @throws what `open` throws
 */
export function listenPromptly<T extends { readonly addr: Deno.Addr }>(
  open: () => T,
  backlog?: number,
): SystemListener<T> {
  const { socket, fd } = withDescriptor(SOCK_STREAM, open);
  if (fd === undefined) return { socket, fd, isPrompt: false };
  const system = libc()!;
  if (backlog !== undefined) system.listen(fd, backlog);
  // What is accepted has it from the listener.
  return { socket, fd, isPrompt: writeOption(system, fd, [IPPROTO_TCP, TCP_NODELAY, 1]) };
}

/**
 * Puts another listener in the place of one, on the same port, with no moment between them. What has
 * come to the one before and was not accepted is reset. The runtime's `close` of it is still to follow.
 *
 * @param open makes the other, with `reusePort`
 * @throws what `open` throws; then the one before goes on
 */
export function succeed<T>(before: SystemListener<unknown>, open: () => T): T {
  const system = libc()!;
  writeOption(system, before.fd!, [SOL_SOCKET, SO_REUSEPORT, 1]);
  const next = open();
  // The runtime closes it a little later; what came until then would be lost with it.
  system.shutdown(before.fd!, SHUT_RDWR);
  return next;
}

/**
 * Connections as they come, until the signal fires; close the listener then.
 *
 * @param current the listener in use, which another may take the place of
 * @param failed told of each failure that is none of a listener's end
 */
export async function* accepted<C>(
  current: () => { accept(): Promise<C> },
  signal: AbortSignal,
  failed: (cause: unknown) => void = () => {},
): AsyncGenerator<C> {
  while (!signal.aborted) {
    const listener = current();
    let conn: C;
    try {
      conn = await listener.accept();
    } catch (cause) {
      if (signal.aborted) return;
      if (listener !== current()) continue; // It was replaced.
      // One connection was gone again, or the system is out of descriptors, which passes. Nothing
      // tells when, so without a pause this would spin.
      failed(cause);
      await delay(ACCEPT_PAUSE, signal);
      continue;
    }
    yield conn;
  }
}
