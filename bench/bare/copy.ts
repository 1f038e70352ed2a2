/** What the reference programs share: TCP at both ends, and the copying loop. */

import { HOST } from "./main.ts";

/** Bytes that one read takes at most, the same as a Deno socket's own stream. */
const BLOCK = 64 * 1024;

/** A byte connection whose directions end on their own. */
export interface Socket {
  read(target: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

/** Copies to the end of `from`, and ends `to` there. */
export async function copy(from: Socket, to: Socket): Promise<void> {
  const buffer = new Uint8Array(BLOCK);
  for (let count; (count = await from.read(buffer)) !== null;) {
    await writeAll(to, buffer.subarray(0, count));
  }
  await to.closeWrite();
}

/** Copies both ways until both have ended, then closes both. */
export async function joinSockets(near: Socket, far: Socket): Promise<void> {
  await untilDone([near, far], [copy(near, far), copy(far, near)]);
}

/** Copies between a socket and the stream of a QUIC connection. */
export async function joinStream(
  socket: Socket,
  { readable, writable }: Deno.QuicBidirectionalStream,
): Promise<void> {
  const reader = readable.getReader();
  const writer = writable.getWriter();
  const up = async () => {
    const buffer = new Uint8Array(BLOCK);
    for (let count; (count = await socket.read(buffer)) !== null;) {
      await writer.write(buffer.subarray(0, count));
    }
    await writer.close();
  };
  const down = async () => {
    for (let part; !(part = await reader.read()).done;) await writeAll(socket, part.value);
    await socket.closeWrite();
  };
  await untilDone([socket], [up(), down()]);
}

export async function writeAll(to: Socket, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

/** Waits for the directions of a connection and closes its sockets; a failure ends it early. */
export async function untilDone(
  sockets: readonly { close(): void }[],
  directions: readonly Promise<void>[],
): Promise<void> {
  try {
    await Promise.all(directions);
  } catch {
    // One end has gone: closing the others is all that a copier can do about it.
  } finally {
    for (const socket of sockets) close(socket);
  }
}

export async function connectTcp(port: number): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: HOST, port });
  conn.setNoDelay(true);
  return conn;
}

/** Listens on a free port. */
export function listenTcp(onConnection: (conn: Deno.TcpConn) => Promise<void>): number {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  accept(listener, (conn) => {
    conn.setNoDelay(true);
    return onConnection(conn);
  });
  return listener.addr.port;
}

/** Hands on what a listener accepts; a connection that fails is closed and forgotten. */
export async function accept<C extends Deno.Conn>(
  listener: AsyncIterable<C>,
  onConnection: (conn: C) => Promise<void>,
): Promise<void> {
  for await (const conn of listener) onConnection(conn).catch(() => close(conn));
}

function close(socket: { close(): void }): void {
  try {
    socket.close();
  } catch (error) {
    // The end of both directions closes some sockets by itself.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
