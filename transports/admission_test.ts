/** How a listener's connections are judged by their address, and what nothing on them may do. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../core/errors.ts";
import type { Incoming, Listener, RemoteAddress } from "../core/transport.ts";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { testGround } from "../tests/network_fixture.ts";
import { ALPN, quic } from "./quic.ts";
import { websocket } from "./websocket/transport.ts";

const test = suite("admission by address");
const { cert, key, root } = await testGround();
const localhost = { hostname: "127.0.0.1", port: 0, cert, key };

for (const transport of [quic, websocket]) {
  test(`an address is judged before the handshake, and may be turned away (${transport.name})`, async () => {
    await using listener = await transport.listen(localhost);
    const connecting = failureOf(transport.connect(urlOf(listener), { caCerts: [root] }));
    const incoming = await first(listener);
    const judged: RemoteAddress[] = [];
    const accepting = failureOf(incoming.accept({
      admit(remote) {
        judged.push(remote);
        throw new TunnelError("limit", { action: "accept", state: "too many of them" });
      },
    }));
    assert.is(judged.length, 1, "it was not judged at once");
    assert.is((await bounded("the accept", accepting)).code, "limit");
    assert.is((await bounded("the client", connecting)).code, "unreachable");
    assert.is(judged[0]!.hostname, "127.0.0.1");
    if (incoming.remote) assert.equal(judged[0], incoming.remote);
  });

  test(`an address that is welcome is the session's (${transport.name})`, async () => {
    await using listener = await transport.listen(localhost);
    const connecting = transport.connect(urlOf(listener), { caCerts: [root] });
    const judged: RemoteAddress[] = [];
    const incoming = await first(listener);
    const session = await incoming.accept({ admit: (remote) => void judged.push(remote) });
    assert.equal(judged, [session.remote]);
    const client = await bounded("the client", connecting);
    client.close();
    await bounded("the end", session.closed);
  });
}

test("who is refused is told that the relay has no place, not that nobody is there (quic)", async () => {
  await using listener = await quic.listen(localhost);
  const connecting = failureOf(quic.connect(urlOf(listener), { caCerts: [root] }));
  (await first(listener)).refuse();
  const error = await bounded("the client", connecting);
  assert.is(error.code, "limit");
  assert.match(error.message, /the relay takes no more connections now/);
});

test("a handshake that never goes on costs its time and no more (quic)", async () => {
  await using listener = await quic.listen(localhost);
  const initial = await initialPacket();
  const port = { transport: "udp", hostname: "127.0.0.1", port: listener.address.port } as const;
  const socket = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  await socket.send(initial, port);
  const incoming = await first(listener);
  const gone = new AbortController();
  const accepting = failureOf(incoming.accept({ signal: gone.signal }));
  gone.abort();
  assert.is((await bounded("the accept", accepting)).code, "aborted");
  socket.close();
});

test("a datagram ends the session: nobody would read it (quic)", async () => {
  await using listener = await quic.listen(localhost);
  const connecting = Deno.connectQuic({
    hostname: "127.0.0.1",
    port: listener.address.port,
    alpnProtocols: [ALPN],
    caCerts: [root],
  });
  const session = await (await first(listener)).accept();
  const client = await connecting;
  await client.sendDatagram(new Uint8Array(100));
  const { closeCode } = await bounded("the client", client.closed);
  assert.is(closeCode, 4);
  assert.is((await session.closed).code, 4);
});

test.run();

async function first(listener: Listener): Promise<Incoming> {
  const incoming = listener[Symbol.asyncIterator]().next();
  return (await bounded("a connection", incoming)).value;
}

function urlOf(listener: Listener): URL {
  return new URL(`tunnel://127.0.0.1:${listener.address.port}`);
}

/** The first packet of a QUIC client that will not hear any answer. */
async function initialPacket(): Promise<Uint8Array> {
  const hole = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  const stop = new AbortController();
  const { port } = hole.addr as Deno.NetAddr;
  const url = new URL(`tunnel://127.0.0.1:${port}`);
  const connecting = failureOf(quic.connect(url, { signal: stop.signal }));
  const [packet] = await bounded("the first packet", hole.receive());
  stop.abort();
  await connecting;
  hole.close();
  return packet.slice();
}
