/**
 * Room for the datagrams that have come and wait to be read. Linux gives a socket 208 KiB by default,
 * which QUIC fills within a millisecond or two of the reader being busy; what comes then is lost, and
 * every sender takes that for a crowded way and slows down. The runtime has no option for it.
 */

import { withDescriptor } from "./descriptor.ts";
import {
  libc,
  readOption,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_DGRAM,
  SOL_SOCKET,
  writeOption,
} from "./libc.ts";

/** Bytes asked for. Linux counts twice as many, for its own overhead (socket(7), SO_RCVBUF). */
export const WANTED = 512 * 1024;

/** A socket with the bytes of datagrams that it keeps, as asked for and not as Linux counts them. */
export interface Roomy<T> {
  readonly socket: T;
  /** Undefined where that cannot be had: on another system, or without the permission. */
  readonly room: number | undefined;
}

/**
 * Opens a UDP socket and widens its receive buffer as far as the system lets it: beyond
 * `net.core.rmem_max` only with CAP_NET_ADMIN. Nobody is asked for a permission.
 *
 * @param open opens one, and nothing else
 * @throws what `open` throws
 */
export function withRoom<T extends { readonly addr: Deno.Addr }>(open: () => T): Roomy<T> {
  const { socket, fd } = withDescriptor(SOCK_DGRAM, open);
  return { socket, room: fd === undefined ? undefined : widen(fd) };
}

/** What the sockets of this process can have; of one made for it. */
export function probeReceiveBuffer(): number | undefined {
  const { socket, room } = withRoom(() =>
    Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 })
  );
  socket.close();
  return room;
}

/** The bytes that it has now. What a person has set higher for the whole machine is left as it is. */
function widen(fd: number): number {
  const system = libc()!;
  const before = readOption(system, fd, SOL_SOCKET, SO_RCVBUF);
  if (before < 2 * WANTED && !writeOption(system, fd, [SOL_SOCKET, SO_RCVBUFFORCE, WANTED])) {
    writeOption(system, fd, [SOL_SOCKET, SO_RCVBUF, WANTED]);
  }
  return readOption(system, fd, SOL_SOCKET, SO_RCVBUF) / 2;
}
