/** Descriptors of the runtime's sockets, which it does not tell: found by what the system gives next. */

import { endOf, type Libc, libc, readOption, SO_TYPE, SOL_SOCKET } from "./libc.ts";

/** Descriptors behind the lowest free one that are looked at: another thread may take some meanwhile. */
export const NEARBY = 8;

/** A socket that was opened, and its descriptor where it can be had. */
export interface Described<T> {
  readonly socket: T;
  readonly fd: number | undefined;
}

/**
 * Opens a socket that is bound to a port, and finds its descriptor.
 *
 * @param type `SOCK_STREAM` or `SOCK_DGRAM`
 * @param open opens one, and nothing else
 * @throws what `open` throws
 */
export function withDescriptor<T extends { readonly addr: Deno.Addr }>(
  type: number,
  open: () => T,
): Described<T> {
  const system = libc();
  const first = system && lowestFree(system);
  const socket = open();
  if (!system || first === undefined) return { socket, fd: undefined };
  const { port } = socket.addr as Deno.NetAddr;
  for (let fd = first; fd < first + NEARBY; fd++) {
    if (endOf(system, fd, "getsockname")?.port !== port) continue;
    if (readOption(system, fd, SOL_SOCKET, SO_TYPE) === type) return { socket, fd };
  }
  return { socket, fd: undefined };
}

/** The descriptor that the next one to be opened will have; undefined where there is none left. */
export function lowestFree(libc: Libc): number | undefined {
  const fd = libc.dup(0);
  if (fd < 0) return undefined;
  libc.close(fd);
  return fd;
}

/** One more than any descriptor that is in use; proc_pid_status(5). */
export function descriptorBound(libc: Libc): number {
  const path = new TextEncoder().encode("/proc/self/status\0");
  const fd = libc.open(path, 0);
  if (fd < 0) return 0;
  const text = new Uint8Array(4096);
  const count = Number(libc.read(fd, text, BigInt(text.length)));
  libc.close(fd);
  const status = new TextDecoder().decode(text.subarray(0, Math.max(0, count)));
  return Number(/^FDSize:\s*(\d+)$/m.exec(status)?.[1] ?? 0);
}
