/**
 * TCP connections of the runtime by their descriptors, for the ends that it does not have: its `close`
 * sends no RST, waits for a write that nobody reads, and leaves a connection open on which the client
 * has not finished, or never begun, its TLS handshake.
 */

import { ipBytes } from "../../core/ip.ts";
import { descriptorBound, lowestFree, NEARBY } from "./descriptor.ts";
import {
  AF_UNSPEC,
  type End,
  endOf,
  type Libc,
  libc,
  readOption,
  SHUT_RDWR,
  SO_ACCEPTCONN,
  SOL_SOCKET,
} from "./libc.ts";

/** Descriptors of connections that were ended which are remembered: the system gives them again. */
const MAX_ENDED = 16;
/**
 * Milliseconds between two looks for connections that are not where they were expected. Nearly always
 * their peer has reset them, and a look for each would be work for whoever resets many.
 */
const PAUSE = 100;

/** What the runtime tells of a connection. */
export type Conn = Pick<Deno.Conn, "localAddr" | "remoteAddr">;

/** The lowest descriptor that was free when it was looked last. */
let free = 0;
let searchedAt = -Infinity;
const ended: number[] = [];

/** One connection; good until the runtime has closed it. */
export class SystemConnection {
  readonly #libc: Libc;
  readonly #ends: Readonly<Record<End, Deno.NetAddr>>;
  #expected: number | undefined;

  /** Undefined where the system cannot be asked. */
  static of(conn: Conn): SystemConnection | undefined {
    const system = libc();
    return system && new SystemConnection(system, conn);
  }

  private constructor(libc: Libc, { localAddr, remoteAddr }: Conn) {
    this.#libc = libc;
    this.#ends = {
      getsockname: localAddr as Deno.NetAddr,
      getpeername: remoteAddr as Deno.NetAddr,
    };
  }

  /**
   * Looks for it where one that was just made should be: the system gives the lowest descriptor that is
   * free. Without it whoever ends it looks through all.
   */
  expect(): this {
    const first = free;
    free = lowestFree(this.#libc) ?? free;
    // By its ports alone, which is quick; whoever ends it looks closer.
    const known = ended.findIndex((fd) => this.#fits(fd));
    if (known >= 0) [this.#expected] = ended.splice(known, 1);
    let left: number | undefined;
    for (let fd = first; fd < first + NEARBY && this.#expected === undefined; fd++) {
      if (this.#fits(fd)) this.#expected = fd;
      else if (this.#isLeft(fd)) left ??= fd;
    }
    this.#expected ??= left;
    return this;
  }

  /**
   * Sends a RST at once and drops whatever waits (RFC 9293, section 3.10.5). The runtime's `close` is
   * still to follow. Says whether it could.
   */
  reset(): boolean {
    // To dissolve the association of a TCP socket is to abort it: connect(2).
    return this.#end((fd) => this.#libc.connect(fd, new Uint8Array([AF_UNSPEC, 0]), 2));
  }

  /**
   * Ends both directions, behind what was written: whatever in the runtime waits for the peer finds
   * the end, and lets the connection go. Its `close` is still to follow. Says whether it could.
   */
  shutdown(): boolean {
    return this.#end((fd) => this.#libc.shutdown(fd, SHUT_RDWR));
  }

  #end(by: (fd: number) => number): boolean {
    const fd = this.#find();
    // It will be free even where there is nothing left to end.
    const soonFree = fd ?? this.#expected;
    if (soonFree !== undefined && ended.push(soonFree) > MAX_ENDED) ended.shift();
    return fd !== undefined && by(fd) === 0;
  }

  #find(): number | undefined {
    if (this.#expected === undefined) return this.#search();
    if (this.#isAt(this.#expected)) return this.#expected;
    return performance.now() - searchedAt < PAUSE ? undefined : this.#search();
  }

  /** Looks everywhere: a millisecond for 5,000 descriptors. */
  #search(): number | undefined {
    searchedAt = performance.now();
    const bound = descriptorBound(this.#libc);
    for (let fd = 0; fd < bound; fd++) if (this.#isAt(fd)) return fd;
    return undefined;
  }

  #fits(fd: number): boolean {
    return this.#hasPort(fd, "getpeername") && this.#hasPort(fd, "getsockname");
  }

  /** Whether it is a connection on this port whose peer has gone. */
  #isLeft(fd: number): boolean {
    if (!this.#hasPort(fd, "getsockname") || endOf(this.#libc, fd, "getpeername")) return false;
    return readOption(this.#libc, fd, SOL_SOCKET, SO_ACCEPTCONN) === 0;
  }

  #hasPort(fd: number, end: End): boolean {
    return endOf(this.#libc, fd, end)?.port === this.#ends[end].port;
  }

  #isAt(fd: number): boolean {
    return this.#fits(fd) && this.#hasIp(fd, "getpeername") && this.#hasIp(fd, "getsockname");
  }

  #hasIp(fd: number, end: End): boolean {
    const wanted = ipBytes(this.#ends[end].hostname);
    const found = endOf(this.#libc, fd, end)?.ip;
    return wanted?.length === found?.length && !!wanted?.every((byte, at) => byte === found![at]);
  }
}
