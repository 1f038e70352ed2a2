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

const SYMBOLS = {
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
} as const;

/**
 * Widens the receive buffer of this process's UDP socket on a port, as far as the system lets it:
 * beyond `net.core.rmem_max` only with CAP_NET_ADMIN.
 *
 * @returns the bytes that it has now, as asked for and not as Linux counts; undefined where that
 * cannot be had: on another system, or without the permission, for which it does not ask
 */
export function widenReceiveBuffer(port: number): number | undefined {
  const libc = open();
  const fd = libc && find(libc, port);
  if (fd === undefined) return undefined;
  const before = read(libc!, fd, SO_RCVBUF);
  // What a person has set higher for the whole machine is left as it is.
  if (before < 2 * WANTED && !write(libc!, fd, SO_RCVBUFFORCE)) write(libc!, fd, SO_RCVBUF);
  return read(libc!, fd, SO_RCVBUF) / 2;
}

/** What the sockets of this process can have; as {@linkcode widenReceiveBuffer}, of one made for it. */
export function probeReceiveBuffer(): number | undefined {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  try {
    return widenReceiveBuffer((socket.addr as Deno.NetAddr).port);
  } finally {
    socket.close();
  }
}

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** Null where there is none to be had. */
let opened: Libc | null | undefined;

function open(): Libc | undefined {
  if (opened === undefined) opened = load() ?? null;
  return opened ?? undefined;
}

function load(): Libc | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const granted = (name: "ffi" | "read") =>
    Deno.permissions.querySync({ name }).state === "granted";
  if (!granted("ffi") || !granted("read")) return undefined;
  try {
    return Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  } catch {
    return undefined; // Another C library: the socket stays as it came.
  }
}

/** The descriptor of the UDP socket on this port. */
function find(libc: Libc, port: number): number | undefined {
  const address = new Uint8Array(128); // sockaddr_storage
  const view = new DataView(address.buffer);
  const length = new Uint32Array(1);
  for (const fd of descriptors()) {
    address.fill(0);
    length[0] = address.length;
    if (libc.getsockname(fd, address, bytesOf(length)) !== 0) continue;
    const family = view.getUint16(0, true);
    if (family !== AF_INET && family !== AF_INET6 || view.getUint16(2) !== port) continue;
    if (read(libc, fd, SO_TYPE) === SOCK_DGRAM) return fd;
  }
}

/** Of this process; none where that cannot be seen. */
function descriptors(): number[] {
  try {
    return Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => Number(name));
  } catch {
    return []; // No /proc: the socket stays as it came.
  }
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
