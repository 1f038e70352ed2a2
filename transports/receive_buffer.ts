/**
 * Room for the datagrams that have come and wait to be read. Linux gives a socket 208 KiB by default,
 * which QUIC fills within a millisecond or two of the reader being busy; what comes then is lost, and
 * every sender takes that for a crowded way and slows down. The runtime has no option for it, so the
 * C library is asked, where the program may (`--allow-ffi`; the executable does).
 */

/** Bytes asked for. Linux counts twice as many, for its own overhead (socket(7), SO_RCVBUF). */
export const WANTED = 512 * 1024;

/** Of Linux, the same on x86-64 and aarch64: <sys/socket.h>, <asm-generic/socket.h>. */
const [AF_INET, AF_INET6, SOCK_DGRAM] = [2, 10, 2];
const [SOL_SOCKET, SO_TYPE, SO_RCVBUF, SO_RCVBUFFORCE] = [1, 3, 8, 33];

/** Descriptors behind the lowest free one that are looked at: another thread may take some meanwhile. */
const NEARBY = 8;

const SYMBOLS = {
  dup: { parameters: ["i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
} as const;

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
  const libc = library();
  const first = libc && lowestFree(libc);
  const socket = open();
  if (!libc || first === undefined) return { socket, room: undefined };
  const { port } = socket.addr as Deno.NetAddr;
  for (let fd = first; fd < first + NEARBY; fd++) {
    if (isUdp(libc, fd, port)) return { socket, room: widen(libc, fd) };
  }
  return { socket, room: undefined };
}

/** What the sockets of this process can have; of one made for it. */
export function probeReceiveBuffer(): number | undefined {
  const { socket, room } = withRoom(() =>
    Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 })
  );
  socket.close();
  return room;
}

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** Null where there is none to be had. */
let opened: Libc | null | undefined;

function library(): Libc | undefined {
  if (opened === undefined) opened = load() ?? null;
  return opened ?? undefined;
}

function load(): Libc | undefined {
  if (Deno.build.os !== "linux") return undefined;
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  try {
    return Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  } catch {
    return undefined; // Another C library: sockets stay as they come.
  }
}

/** The descriptor that the next one to be opened will have. */
function lowestFree(libc: Libc): number | undefined {
  const fd = libc.dup(0);
  if (fd < 0) return undefined;
  libc.close(fd);
  return fd;
}

/** Whether a descriptor is the UDP socket on this port. */
function isUdp(libc: Libc, fd: number, port: number): boolean {
  const address = new Uint8Array(128); // sockaddr_storage
  const view = new DataView(address.buffer);
  const length = Uint32Array.of(address.length);
  if (libc.getsockname(fd, address, bytesOf(length)) !== 0) return false;
  const family = view.getUint16(0, true);
  if (family !== AF_INET && family !== AF_INET6 || view.getUint16(2) !== port) return false;
  return read(libc, fd, SO_TYPE) === SOCK_DGRAM;
}

/** The bytes that it has now. What a person has set higher for the whole machine is left as it is. */
function widen(libc: Libc, fd: number): number {
  const before = read(libc, fd, SO_RCVBUF);
  if (before < 2 * WANTED && !write(libc, fd, SO_RCVBUFFORCE)) write(libc, fd, SO_RCVBUF);
  return read(libc, fd, SO_RCVBUF) / 2;
}

/** An option's value; 0 where it cannot be read. */
function read(libc: Libc, fd: number, option: number): number {
  const value = new Int32Array(1);
  const length = Uint32Array.of(value.byteLength);
  return libc.getsockopt(fd, SOL_SOCKET, option, bytesOf(value), bytesOf(length)) === 0
    ? value[0]!
    : 0;
}

function write(libc: Libc, fd: number, option: number): boolean {
  const value = Int32Array.of(WANTED);
  return libc.setsockopt(fd, SOL_SOCKET, option, bytesOf(value), value.byteLength) === 0;
}

function bytesOf(
  { buffer }: Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer);
}
