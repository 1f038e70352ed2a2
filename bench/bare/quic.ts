/** The reference chain over raw QUIC: one stream per connection on each hop. */

import { connectTcp, joinStream, listenTcp, untilDone } from "./copy.ts";
import { type Bare, HOST, type Keys, RELAY } from "./main.ts";

const LIMITS: Deno.QuicTransportOptions = {
  keepAliveInterval: 2_500,
  maxIdleTimeout: 8_000,
  maxConcurrentBidirectionalStreams: 256,
};

export const quic: Bare = {
  async service(keys, relay) {
    const conn = await connect(relay, "service", keys);
    return listenTcp(async (socket) => await joinStream(socket, await open(conn)));
  },

  relay({ cert, key }) {
    const endpoint = new Deno.QuicEndpoint({ hostname: RELAY, port: 0 });
    serve(endpoint.listen({ cert, key, alpnProtocols: ["device", "service"], ...LIMITS }));
    return Promise.resolve(endpoint.addr.port);
  },

  async device(keys, target, relay) {
    const conn = await connect(relay, "device", keys);
    serveStreams(conn, async (stream) => await joinStream(await connectTcp(target), stream));
    return 0;
  },
};

async function connect(port: number, protocol: string, { root }: Keys): Promise<Deno.QuicConn> {
  const alpnProtocols = [protocol];
  return await Deno.connectQuic({
    hostname: RELAY,
    port,
    serverName: HOST,
    alpnProtocols,
    caCerts: [root],
    ...LIMITS,
  });
}

/** The connections of one device and of services to it, told apart by their protocol. */
async function serve(listener: Deno.QuicListener): Promise<void> {
  let device: Deno.QuicConn | undefined;
  for (;;) {
    const conn = await (await listener.incoming()).accept(LIMITS);
    if (conn.protocol === "device") device = conn;
    else serveStreams(conn, async (near) => await joinStreams(near, await open(device!)));
  }
}

async function serveStreams(
  conn: Deno.QuicConn,
  onStream: (stream: Deno.QuicBidirectionalStream) => Promise<void>,
): Promise<void> {
  for await (const stream of conn.incomingBidirectionalStreams) {
    onStream(stream).catch(() => stream.writable.abort().catch(() => {})); // Its peer has gone.
  }
}

function open(conn: Deno.QuicConn): Promise<Deno.QuicBidirectionalStream> {
  return conn.createBidirectionalStream({ waitUntilAvailable: true });
}

async function joinStreams(
  near: Deno.QuicBidirectionalStream,
  far: Deno.QuicBidirectionalStream,
): Promise<void> {
  await untilDone([], [copyStream(near, far), copyStream(far, near)]);
}

async function copyStream(
  { readable }: Deno.QuicBidirectionalStream,
  { writable }: Deno.QuicBidirectionalStream,
): Promise<void> {
  const reader = readable.getReader();
  const writer = writable.getWriter();
  for (let part; !(part = await reader.read()).done;) await writer.write(part.value);
  await writer.close();
}
