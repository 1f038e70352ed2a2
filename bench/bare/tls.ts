/** The reference chain over TLS: one socket per connection on each hop. */

import { accept, connectTcp, joinSockets, listenTcp } from "./copy.ts";
import { type Bare, HOST, type Keys } from "./main.ts";

export const tls: Bare = {
  service(keys, relay) {
    return Promise.resolve(
      listenTcp(async (conn) => await joinSockets(conn, await connect(relay, keys))),
    );
  },

  relay(keys, device) {
    return Promise.resolve(
      listen(keys, async (near) => await joinSockets(near, await connect(device, keys))),
    );
  },

  device(keys, target) {
    return Promise.resolve(
      listen(keys, async (near) => await joinSockets(near, await connectTcp(target))),
    );
  },
};

function listen(
  { cert, key }: Keys,
  onConnection: (conn: Deno.TlsConn) => Promise<void>,
): number {
  const listener = Deno.listenTls({ hostname: HOST, port: 0, cert, key });
  accept(listener, onConnection);
  return listener.addr.port;
}

async function connect(port: number, { root }: Keys): Promise<Deno.TlsConn> {
  const tcp = await connectTcp(port);
  return await Deno.startTls(tcp, { hostname: HOST, caCerts: [root] });
}
