/**
 * A program for one side of a link that carries out orders. They come over a Unix socket, which no
 * network namespace hides: one connection an order, `[name, ...arguments]`, answered by its value.
 *
 *     deno run -A test_peer.ts SOCKET ADDRESS
 */

import { readFull, writeAll } from "../target.ts";

interface Datagram {
  readonly from: string;
  readonly number: number;
}

/** What a peer can be told to do. */
export type Orders = ReturnType<typeof openOrders>;

function openOrders(hostname: string) {
  const listener = Deno.listen({ hostname, port: 0 });
  // Of no address, so that what it sends comes from the address that its side has then.
  const socket = Deno.listenDatagram({ hostname: "0.0.0.0", port: 0, transport: "udp" });
  const datagrams: Datagram[] = [];
  let arrived = Promise.withResolvers<void>();
  let conn: Deno.TcpConn | undefined;

  (async () => {
    for await (const incoming of listener) {
      incoming.readable.pipeTo(incoming.writable).catch(() => {});
    }
  })();
  (async () => {
    for await (const [data, from] of socket) {
      const number = new DataView(data.buffer, data.byteOffset).getUint32(0);
      datagrams.push({ from: (from as Deno.NetAddr).hostname, number });
      arrived.resolve();
      arrived = Promise.withResolvers();
    }
  })();

  const orders = {
    /** The ports that it listens on. */
    ports: () => ({
      tcp: (listener.addr as Deno.NetAddr).port,
      udp: (socket.addr as Deno.NetAddr).port,
    }),

    /** Connects; the address of this end. */
    async connect(hostname: string, port: number): Promise<string> {
      conn = await Deno.connect({ hostname, port });
      conn.setNoDelay(true);
      return (conn.localAddr as Deno.NetAddr).hostname;
    },

    /** Writes to the connection. */
    write: (bytes: number) => writeAll(conn!, new Uint8Array(bytes)),

    /** Reads what comes back on the connection. */
    read: (bytes: number) => readFull(conn!, new Uint8Array(bytes)),

    /** Milliseconds that as many bytes take there and back. */
    async echo(bytes: number): Promise<number> {
      const began = performance.now();
      await Promise.all([orders.write(bytes), orders.read(bytes)]);
      return performance.now() - began;
    },

    /** Sends datagrams, numbered from 0. */
    async send(hostname: string, port: number, count: number, size: number): Promise<void> {
      const datagram = new Uint8Array(size);
      for (let number = 0; number < count; number++) {
        new DataView(datagram.buffer).setUint32(0, number);
        await socket.send(datagram, { hostname, port, transport: "udp" });
      }
    },

    /** Every datagram that came, once there are so many. */
    async received(count: number): Promise<Datagram[]> {
      while (datagrams.length < count) await arrived.promise;
      return datagrams;
    },

    /** The network interfaces that it sees. */
    interfaces: () => [...new Set(Deno.networkInterfaces().map(({ name }) => name))],
  };
  return orders;
}

async function obey(conn: Deno.UnixConn, orders: Orders): Promise<void> {
  // One write brought it whole.
  const buffer = new Uint8Array(1024);
  const length = await conn.read(buffer) ?? 0;
  const [name, ...args] = JSON.parse(new TextDecoder().decode(buffer.subarray(0, length)));
  const order = orders[name as keyof Orders] as (...args: unknown[]) => unknown;
  const answer = await Promise.try(() => order(...args)).then(
    (value) => ({ value }),
    (error) => ({ error: String(error) }),
  );
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(answer)));
  await writer.close();
}

if (import.meta.main) {
  const [path, hostname] = Deno.args;
  const orders = openOrders(hostname!);
  const listener = Deno.listen({ transport: "unix", path: path! });
  console.log("ready");
  // Several at once, so that one can be waiting while others are carried out.
  for await (const conn of listener) obey(conn, orders);
}
