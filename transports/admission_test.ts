/** How a listener's connections are judged by their address, and what nothing on them may do. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay } from "../core/deadline.ts";
import { TunnelError } from "../core/errors.ts";
import type { Incoming, Listener, RemoteAddress, Session } from "../core/transport.ts";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { testGround } from "../tests/network_fixture.ts";
import { ALPN, quic, quicProtocol } from "./quic.ts";
import { connectQuic, listenQuic } from "./quic_endpoint.ts";
import { websocket } from "./websocket/transport.ts";
import { webtransportProtocol, webtransportTransport } from "./webtransport/transport.ts";

const test = suite("admission by address");
const { cert, key, root } = await testGround();
const PROBE = Uint8Array.of(0, 0, 0, 0, 9);
const localhost = { hostname: "127.0.0.1", port: 0, cert, key };

for (const transport of [quic, webtransportTransport(), websocket]) {
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

test("a stranger's datagram ends the session (quic)", async () => {
  await using listener = await quic.listen(localhost);
  const { client, session } = await rawPair(listener);
  await client.sendDatagram(PROBE);
  assert.is((await bounded("the client", client.closed)).closeCode, 4);
  assert.is((await session.closed).code, 4);
});

test("a member's probe comes back, anything else of its ends the session (quic)", async () => {
  await using listener = await quic.listen(localhost);
  const { client, session } = await rawPair(listener);
  session.welcome!();
  await client.sendDatagram(PROBE);
  assert.equal(await bounded("the answer", client.readDatagram()), PROBE);
  await client.sendDatagram(new Uint8Array(100));
  assert.is((await bounded("the client", client.closed)).closeCode, 4);
  assert.is((await session.closed).code, 4);
});

test("one port takes both protocols of QUIC, and nobody else's", async () => {
  const protocols = [quicProtocol, webtransportProtocol()] as const;
  await using listener = listenQuic(localhost, protocols);
  for (const protocol of protocols) {
    const connecting = connectQuic(protocol, urlOf(listener), { caCerts: [root] });
    const session = await (await first(listener)).accept();
    assert.is(session.transport, protocol.transport);
    const client = await bounded("the client", connecting);
    client.close({ code: 2, reason: "enough" });
    assert.is((await bounded("the end", session.closed)).code, 2);
  }
  const stranger = { ...quicProtocol, alpn: "h3-29" };
  const connecting = failureOf(connectQuic(stranger, urlOf(listener), { caCerts: [root] }));
  const accepting = failureOf((await first(listener)).accept());
  assert.is((await bounded("the stranger", connecting)).code, "unreachable");
  assert.is((await bounded("the accept", accepting)).code, "protocol");
});

test("a stranger's unidirectional stream ends the session: only HTTP/3 has a use for one (quic)", async () => {
  await using listener = listenQuic(localhost, [quicProtocol, webtransportProtocol()]);
  const connecting = Deno.connectQuic({
    hostname: "127.0.0.1",
    port: listener.address.port,
    alpnProtocols: [ALPN],
    caCerts: [root],
  });
  const session = await (await first(listener)).accept();
  const client = await connecting;
  const writer = (await client.createUnidirectionalStream()).getWriter();
  await writer.write(new Uint8Array(100));
  assert.is((await bounded("the client", client.closed)).closeCode, 4);
  assert.is((await session.closed).code, 4);
});

test("a silent client is kept alive by the relay (webtransport)", async () => {
  const limits = { keepAlive: 200, idleTimeout: 3_000 };
  await using listener = await webtransportTransport().listen({ ...localhost, limits });
  const silent = connectQuic(webtransportProtocol(), urlOf(listener), {
    caCerts: [root],
    limits: { keepAlive: 60_000, idleTimeout: 30_000 },
  });
  const session = await (await first(listener)).accept();
  const client = await bounded("the client", silent);
  // An idle timeout later it is still there: what is waited for here is that nothing happens.
  await delay(3_500);
  const stream = await client.openStream();
  const writer = stream.writable.getWriter();
  await writer.write(new Uint8Array(1));
  const { value } = await bounded("a stream", session.incoming.next());
  assert.is((await value!.readable.getReader().read()).value?.length, 1);
  client.close();
  await bounded("the end", session.closed);
});

test.run();

/** A session, and a client of no program's. */
async function rawPair(listener: Listener): Promise<{ client: Deno.QuicConn; session: Session }> {
  const connecting = Deno.connectQuic({
    hostname: "127.0.0.1",
    port: listener.address.port,
    alpnProtocols: [ALPN],
    caCerts: [root],
  });
  const session = await (await first(listener)).accept();
  return { client: await connecting, session };
}

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
