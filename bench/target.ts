/**
 * The far end of the load: a TCP server that the device connects to. A connection begins with
 * thirteen bytes, what to do, how much of it, and how many bytes to write at once:
 *
 *     u8 order | u64 bytes | u32 write (big-endian)
 *
 *     0 echo      everything, to the end
 *     1 take      so many bytes, then answer with one
 *     2 give      so many bytes, then end
 *     3 exchange  take and give so many bytes at the same time, then answer with one
 *     4 count     everything, to the end; the length of each read is the answer, u32 (big-endian)
 */

export const Order = { echo: 0, take: 1, give: 2, exchange: 3, count: 4 } as const;

export const ORDER_LENGTH = 13;
/** Bytes that one call reads or writes at most; the load generator must not be what is slow. */
export const BLOCK = 256 * 1024;
/** The most that can be asked to be written at once. */
export const MAX_WRITE = 1024 * 1024;

/** @param write 1 to {@linkcode MAX_WRITE} */
export function encodeOrder(order: number, bytes = 0, write = BLOCK): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(ORDER_LENGTH);
  const view = new DataView(message.buffer);
  message[0] = order;
  view.setBigUint64(1, BigInt(bytes));
  view.setUint32(9, write);
  return message;
}

export interface Target extends Disposable {
  readonly port: number;
}

/** Starts it on a free port. */
export function startTarget(hostname = "127.0.0.1"): Target {
  const listener = Deno.listen({ hostname, port: 0 });
  serve(listener);
  return { port: listener.addr.port, [Symbol.dispose]: () => listener.close() };
}

async function serve(listener: Deno.TcpListener): Promise<void> {
  for await (const conn of listener) {
    conn.setNoDelay(true);
    // Whoever gave the order sees for himself that it was not carried out.
    obey(conn).catch(() => {}).finally(() => conn.close());
  }
}

async function obey(conn: Deno.TcpConn): Promise<void> {
  const head = new Uint8Array(ORDER_LENGTH);
  await readFull(conn, head);
  const view = new DataView(head.buffer);
  const bytes = Number(view.getBigUint64(1));
  const write = view.getUint32(9);
  switch (head[0]) {
    case Order.echo:
      return await echo(conn);
    case Order.take:
      await take(conn, bytes);
      return await writeAll(conn, new Uint8Array(1));
    case Order.give:
      return await give(conn, bytes, write);
    case Order.exchange:
      await Promise.all([take(conn, bytes), give(conn, bytes, write)]);
      return await writeAll(conn, new Uint8Array(1));
    case Order.count:
      return await count(conn);
  }
}

async function count(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(BLOCK);
  for (let length; (length = await conn.read(buffer)) !== null;) {
    const answer = new Uint8Array(4);
    new DataView(answer.buffer).setUint32(0, length);
    await writeAll(conn, answer);
  }
}

async function echo(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(4 * 1024);
  for (let count; (count = await conn.read(buffer)) !== null;) {
    await writeAll(conn, buffer.subarray(0, count));
  }
}

/** Reads so many bytes. @throws {Error} when there are fewer */
export async function take(conn: Deno.TcpConn, bytes: number): Promise<void> {
  const buffer = new Uint8Array(BLOCK);
  for (let left = bytes; left > 0;) {
    const count = await conn.read(buffer);
    if (count === null) throw new Error(`the connection ended ${left} of ${bytes} bytes early`);
    left -= count;
    if (left < 0) throw new Error(`${-left} bytes came that nobody sent`);
  }
}

/** Writes so many bytes, `write` at once. */
export async function give(conn: Deno.TcpConn, bytes: number, write = BLOCK): Promise<void> {
  for (let left = bytes; left > 0;) {
    left -= await conn.write(DATA.subarray(0, Math.min(left, write)));
  }
}

// Random, so that nothing on the way can make it smaller.
const DATA = new Uint8Array(MAX_WRITE);
for (let at = 0; at < MAX_WRITE; at += 65_536) {
  crypto.getRandomValues(DATA.subarray(at, at + 65_536));
}

export async function writeAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** Fills the buffer. @throws {Error} when the connection ends before */
export async function readFull(conn: Deno.TcpConn, buffer: Uint8Array): Promise<void> {
  for (let at = 0; at < buffer.length;) {
    const count = await conn.read(buffer.subarray(at));
    if (count === null) throw new Error(`the connection ended after ${at} bytes`);
    at += count;
  }
}

// A process of its own, for where the benchmark itself is not; its argument is the address.
if (import.meta.main) console.log(`port ${startTarget(Deno.args[0]).port}`);
