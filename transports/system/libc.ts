/**
 * The C library, for what the runtime has no option for: the room of a socket, a reset, an end that
 * waits for nobody. Linux on x86-64 and aarch64, whose numbers are the same.
 */

import { openLibrary } from "./library.ts";

const SYMBOLS = {
  dup: { parameters: ["i32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
} as const;

export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** Of <sys/socket.h>, <asm-generic/socket.h> and <netinet/tcp.h>. */
export const AF_UNSPEC = 0, AF_INET = 2, AF_INET6 = 10;
export const SOCK_STREAM = 1, SOCK_DGRAM = 2;
export const SOL_SOCKET = 1,
  SO_TYPE = 3,
  SO_RCVBUF = 8,
  SO_REUSEPORT = 15,
  SO_ACCEPTCONN = 30,
  SO_RCVBUFFORCE = 33;
export const IPPROTO_TCP = 6, TCP_NODELAY = 1;
export const SHUT_RDWR = 2;

/** Null where there is none to be had. */
let opened: Libc | null | undefined;

/** Undefined on another system, and without the permission. */
export function libc(): Libc | undefined {
  if (opened === undefined) opened = openLibrary("libc.so.6", SYMBOLS) ?? null;
  return opened ?? undefined;
}

/** The value of an option; 0 where it cannot be read. */
export function readOption(libc: Libc, fd: number, level: number, option: number): number {
  const value = new Int32Array(1);
  const length = Uint32Array.of(value.byteLength);
  return libc.getsockopt(fd, level, option, bytesOf(value), bytesOf(length)) === 0 ? value[0]! : 0;
}

/** Says whether the system took it. */
export function writeOption(
  libc: Libc,
  fd: number,
  [level, option, value]: readonly [level: number, option: number, value: number],
): boolean {
  const bytes = bytesOf(Int32Array.of(value));
  return libc.setsockopt(fd, level, option, bytes, bytes.length) === 0;
}

/** Which end of a socket; the peer's is there while it is connected. */
export type End = "getsockname" | "getpeername";

const ADDRESS = new Uint8Array(128); // sockaddr_storage
const ADDRESS_VIEW = new DataView(ADDRESS.buffer);
const LENGTH = new Uint32Array(1);
const LENGTH_BYTES = bytesOf(LENGTH);

/** The address and port of a socket's end, valid until the next call; undefined where it is none of IP. */
export function endOf(
  libc: Libc,
  fd: number,
  end: End,
): { readonly ip: Uint8Array; readonly port: number } | undefined {
  LENGTH[0] = ADDRESS.length;
  if (libc[end](fd, ADDRESS, LENGTH_BYTES) !== 0) return undefined;
  const family = ADDRESS_VIEW.getUint16(0, true);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  // <netinet/in.h>: the port behind the family, then the address, IPv6's behind the flow.
  const ip = family === AF_INET ? ADDRESS.subarray(4, 8) : ADDRESS.subarray(8, 24);
  return { ip, port: ADDRESS_VIEW.getUint16(2) };
}

function bytesOf(
  { buffer }: Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer);
}
