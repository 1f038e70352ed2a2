import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../../core/errors.ts";
import type { Listener, Session, Stream } from "../../core/transport.ts";
import { bounded, serveEcho } from "../../tests/conformance.ts";
import { testGround } from "../../tests/network_fixture.ts";
import type { MessageSocket } from "../../core/mux/message_socket.ts";
import { multiplex } from "../../core/mux/session.ts";
import { canServeByNode } from "./tls_server.ts";
import { websocket, websocketTransport } from "./transport.ts";

const test = suite("WebSocket listener");
const localhost = { hostname: "127.0.0.1", port: 0 };
const { cert, key, root } = await testGround();
const http = Deno.createHttpClient({ caCerts: [root] });

test("the platform's own WebSocket speaks to it", async () => {
  await using server = await serve();
  const socket = await platformSocket(`wss://127.0.0.1:${server.port}/tunnel`);
  const remote = { hostname: "127.0.0.1", port: server.port };
  const session = multiplex(socket, { role: "client", transport: "websocket", remote });
  assert.is(await exchange(session, "x".repeat(300_000)), "x".repeat(300_000));
  session.close({ code: 0, reason: "thanks" });
  assert.equal(await bounded("the server", server.ended()), { code: 0, reason: "thanks" });
  await session.closed;
});

test("a client that says nothing holds up nobody", async () => {
  await using server = await serve();
  const silent = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await using session = await server.connect();
  assert.is(await exchange(session, "hello"), "hello");
  silent.close();
});

test("a cancelled accept ends at once, and closes the connection", async () => {
  const listener = await websocket.listen({ ...localhost, cert, key });
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.address.port });
  const incoming = await first(listener);
  const gone = new AbortController();
  const accepting = incoming.accept({ signal: gone.signal }).catch((error) => error.code);
  gone.abort();
  assert.is(await bounded("the accept", accepting), "aborted");
  if (canServeByNode()) assert.is(await bounded("the client", ended(client)), true);
  client.close();
  await listener.close();
});

test("a refused connection is closed without a handshake", async () => {
  const listener = await websocket.listen({ ...localhost, cert, key });
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.address.port });
  (await first(listener)).refuse();
  if (canServeByNode()) assert.is(await bounded("the client", ended(client)), true);
  client.close();
  await listener.close();
});

for (
  const [name, bytes] of [
    ["garbage", "\x16\x03\x01 nothing that anybody\r\nsaid\r\n\r\n"],
    ["an endless head", "GET /tunnel HTTP/1.1\r\n" + "X: y\r\n".repeat(5_000)],
  ] as const
) {
  test(`${name} inside TLS is a protocol error, and ends that connection alone`, async () => {
    await using server = await serve();
    const conn = await server.tls();
    for (const data = new TextEncoder().encode(bytes), at = { n: 0 }; at.n < data.length;) {
      const written = await conn.write(data.subarray(at.n)).catch(() => 0);
      if (written === 0) break; // It was closed on us: that is the point.
      at.n += written;
    }
    assert.is(await bounded("the connection", ended(conn)), true);
    conn.close();
    assert.is((await bounded("the error", server.failure())).code, "protocol");
    await using session = await server.connect();
    assert.is(await exchange(session, "still there"), "still there");
  });
}

test("bytes that are no TLS end that connection alone", async () => {
  await using server = await serve();
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  assert.is(await bounded("the connection", ended(conn)), true);
  conn.close();
  assert.is((await bounded("the error", server.failure())).code, "protocol");
});

test("a request that is none for a tunnel gets a 404", async () => {
  await using server = await serve();
  const response = await fetch(`https://127.0.0.1:${server.port}/`, { client: http });
  assert.is(response.status, 404);
  assert.match(await response.text(), /tunnel relay/);
  assert.is((await bounded("the error", server.failure())).code, "closed");
});

test("onRequest answers in its place", async () => {
  await using server = await serve(websocketTransport({
    onRequest: ({ method, target, headers, remote }) => ({
      status: 200,
      headers: { "content-type": "text/html" },
      body: `${method} ${target} ${headers.get("x-test")} ${remote.hostname}`,
    }),
  }));
  const url = `https://127.0.0.1:${server.port}/console?a=b`;
  const response = await fetch(url, { client: http, headers: { "x-test": "yes" } });
  assert.is(response.status, 200);
  assert.is(response.headers.get("content-type"), "text/html");
  assert.is(await response.text(), "GET /console?a=b yes 127.0.0.1");
});

test("closing a listener ends its iteration, and leaves sessions alone", async () => {
  await using server = await serve();
  await using session = await server.connect();
  assert.is(await exchange(session, "before"), "before");
  await server.listener.close();
  await bounded("the iteration", server.iteration);
  assert.is(await exchange(session, "after"), "after");
});

test("a port in use is an error that names it", async () => {
  await using server = await serve();
  const options = { hostname: "127.0.0.1", port: server.port, cert, key };
  const error = await websocket.listen(options).catch((error) => error);
  assert.ok(error instanceof TunnelError && error.code === "unavailable", String(error));
  assert.match(error.message, new RegExp(`${server.port}.*another program`));
});

test("a certificate and a key that are none are a usage error", async () => {
  for (const wrong of [{ cert: "none", key }, { cert, key: "none" }]) {
    const error = await websocket.listen({ ...localhost, ...wrong }).catch((error) => error);
    assert.ok(error instanceof TunnelError && error.code === "usage", String(error));
    assert.match(error.message, /PEM/);
  }
});

test("a certificate that is not trusted is named as the cause", async () => {
  await using server = await serve();
  const url = new URL(`tunnel://127.0.0.1:${server.port}`);
  const error = await websocket.connect(url).catch((error) => error);
  assert.ok(error instanceof TunnelError && error.code === "unreachable", String(error));
  assert.match(error.message, /certificate is not trusted/);
});

test("a port where nothing listens is unreachable", async () => {
  const listener = Deno.listen(localhost);
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const error = await websocket.connect(new URL(`tunnel://127.0.0.1:${port}`)).catch((e) => e);
  assert.ok(error instanceof TunnelError && error.code === "unreachable", String(error));
  assert.match(error.message, /nothing listens/);
});

test("IPv6 addresses work in brackets", async () => {
  const listener = await websocket.listen({ hostname: "::1", port: 0, cert, key });
  const accepting = first(listener).then((incoming) => incoming.accept());
  const url = new URL(`tunnel://[::1]:${listener.address.port}`);
  await using session = await bounded("connect", websocket.connect(url, { caCerts: [root] }));
  await using other = await accepting;
  assert.is(session.remote.hostname, "::1");
  assert.is(other.remote.hostname, "::1");
  await listener.close();
});

interface Server extends AsyncDisposable {
  readonly port: number;
  readonly listener: Listener;
  /** Ends when the listener yields no more. */
  readonly iteration: Promise<void>;
  connect(): Promise<Session>;
  tls(): Promise<Deno.TlsConn>;
  /** What the next failed accept failed with. */
  failure(): Promise<TunnelError>;
  /** How the first session ended. */
  ended(): Promise<unknown>;
}

/** A server that accepts everybody and echoes. */
async function serve(transport = websocket): Promise<Server> {
  const listener = await transport.listen({ ...localhost, cert, key });
  const { port } = listener.address;
  const failure = Promise.withResolvers<TunnelError>();
  const ended = Promise.withResolvers<unknown>();
  const iteration = (async () => {
    for await (const incoming of listener) {
      incoming.accept().then(async (session) => {
        session.closed.then(ended.resolve, ended.resolve);
        for await (const stream of session.incoming) serveEcho(stream).catch(() => {});
      }).catch(failure.resolve);
    }
  })();
  const caCerts = [root];
  return {
    port,
    listener,
    iteration,
    connect: () => transport.connect(new URL(`tunnel://127.0.0.1:${port}`), { caCerts }),
    tls: () => Deno.connectTls({ hostname: "127.0.0.1", port, caCerts }),
    failure: () => failure.promise,
    ended: () => ended.promise,
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

async function first(listener: Listener) {
  for await (const incoming of listener) return incoming;
  throw new Error("the listener closed");
}

async function exchange(session: Session, message: string): Promise<string> {
  const stream: Stream = await bounded("open", session.openStream());
  const writer = stream.writable.getWriter();
  const writing = writer.write(new TextEncoder().encode(message)).then(() => writer.close());
  let answer = "";
  const decoder = new TextDecoder();
  await bounded(
    "the echo",
    (async () => {
      for await (const chunk of stream.readable) answer += decoder.decode(chunk, { stream: true });
    })(),
  );
  await writing;
  return answer;
}

/** True when the peer closes, in whatever way. */
async function ended(conn: Deno.Conn): Promise<boolean> {
  const bytes = new Uint8Array(1024);
  while (await conn.read(bytes).catch(() => null) !== null);
  return true;
}

/** A platform WebSocket as what the multiplexer takes; it has no backpressure, credit bounds it. */
async function platformSocket(url: string): Promise<MessageSocket> {
  const socket = new WebSocket(url, { protocols: ["tunnel.1"], client: http } as never);
  socket.binaryType = "arraybuffer";
  let control!: ReadableStreamDefaultController<Uint8Array>;
  const messages = new ReadableStream<Uint8Array>({ start: (c) => void (control = c) }).getReader();
  socket.onmessage = ({ data }) => control.enqueue(new Uint8Array(data));
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => (control.close(), resolve());
  });
  await bounded(
    "the WebSocket",
    new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    }),
  );
  assert.is(socket.protocol, "tunnel.1");
  return {
    headroom: 0,
    nagle: false,
    send: (message) => Promise.resolve(socket.send(message.slice())),
    receive: async () => (await messages.read()).value ?? null,
    close: (code, reason) => (socket.close(code, reason), closed),
    abort: () => socket.close(),
  };
}

test.run();
