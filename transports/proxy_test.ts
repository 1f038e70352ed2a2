import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../core/errors.ts";
import { bounded, serveEcho } from "../tests/conformance.ts";
import { testGround } from "../tests/network_fixture.ts";
import { proxyFor } from "./proxy.ts";
import { connectThroughProxy } from "./proxy_connect.ts";
import { readHead } from "./websocket/http.ts";
import { connectTcp } from "./websocket/sockets_deno.ts";
import { websocket as nodeWebsocket } from "./websocket/node.ts";
import { websocketTransport } from "./websocket/transport.ts";

const test = suite("proxy");
const target = new URL("tunnel://relay.example:8443");
const SECRET = "s3cr:t p@ss/wörd%";

test("proxyFor takes the one given, then the environment, then none", () => {
  const env = environment({ HTTPS_PROXY: "http://from-env:3128" });
  assert.is(proxyFor(target, { proxy: "http://given:1", env })?.host, "given:1");
  assert.is(proxyFor(target, { proxy: new URL("http://given:1"), env })?.host, "given:1");
  assert.is(proxyFor(target, { env })?.host, "from-env:3128");
  assert.is(proxyFor(target, { env: environment({ https_proxy: "low:1" }) })?.host, "low:1");
  assert.is(proxyFor(target, { env: environment({ HTTPS_PROXY: "" }) }), undefined);
  assert.is(proxyFor(target), undefined);
});

test("NO_PROXY excepts hosts from the environment's proxy, not from the one given", () => {
  const variables = { HTTPS_PROXY: "http://from-env:3128", no_proxy: "relay.example:8443" };
  const env = environment(variables);
  assert.is(proxyFor(target, { env }), undefined);
  assert.is(proxyFor(target, { env, proxy: "http://given:1" })?.host, "given:1");
  assert.is(proxyFor(new URL("tunnel://relay.example"), { env })?.host, "from-env:3128");
  assert.is(proxyFor(new URL("tunnel://127.0.0.1:8443"), { env }), undefined);
  assert.is(proxyFor(new URL("tunnel://[::1]:8443"), { env }), undefined);
});

test("proxies that are not http:// are a usage error that says so, without the password", () => {
  for (const proxy of [`https://u:${SECRET}@x`, "socks5://u:s3cr@x", "http://u:s3cr@:no port"]) {
    const error = thrown(() => proxyFor(target, { proxy }));
    assert.is(error.code, "usage");
    assert.not.match(error.message, /s3cr/);
  }
  assert.match(thrown(() => proxyFor(target, { proxy: "https://x" })).message, /http:\/\/ proxy/);
});

const CLIENTS = { deno: websocketTransport({ env: () => undefined }), node: nodeWebsocket };

for (const [runtime, client] of Object.entries(CLIENTS)) {
  test(`a session passes a proxy that asks for a user (sockets of ${runtime})`, async () => {
    await using proxy = serveProxy({ credentials: `user:${SECRET}` });
    const { cert, key, root } = await testGround();
    const listener = await CLIENTS.deno.listen({ hostname: "127.0.0.1", port: 0, cert, key });
    (async () => {
      for await (const incoming of listener) {
        for await (const stream of (await incoming.accept()).incoming) await serveEcho(stream);
      }
    })().catch(() => {}); // It ends with the session.
    const url = new URL(`tunnel://127.0.0.1:${listener.address.port}`);
    const session = await bounded(
      "connect",
      client.connect(url, { proxy: proxy.url(`user:${SECRET}`), caCerts: [root] }),
    );
    const stream = await session.openStream();
    const writer = stream.writable.getWriter();
    await writer.write(new TextEncoder().encode("through"));
    await writer.close();
    let answer = "";
    for await (const chunk of stream.readable) answer += new TextDecoder().decode(chunk);
    assert.is(answer, "through");
    assert.equal(proxy.targets, [`127.0.0.1:${listener.address.port}`]);
    session.close();
    await session.closed;
    await listener.close();
  });
}

test("the environment's proxy is taken by connect", async () => {
  await using proxy = serveProxy({ status: 403 });
  const env = environment({ HTTPS_PROXY: proxy.url().href });
  const error = await websocketTransport({ env }).connect(target).catch((error) => error);
  assert.is(error.code, "unreachable");
  assert.match(error.message, /403/);
  assert.equal(proxy.targets, ["relay.example:8443"]);
});

for (
  const [name, user, expected] of [
    ["no user", "", /use http:\/\/user:password@host:port/],
    ["the wrong password", "user:wr0ng", /does not accept this user/],
  ] as const
) {
  test(`407 for ${name} says what to do, and no password`, async () => {
    await using proxy = serveProxy({ credentials: `user:${SECRET}` });
    const error = await through(proxy.url(user));
    assert.is(error.code, "unreachable");
    assert.match(error.message, expected);
    assert.not.match(error.message, /wr0ng/);
  });
}

test("a user that is not percent-encoded UTF-8, or has a colon, is a usage error", async () => {
  for (const user of ["%ff:s3cr", "a%3Ab:s3cr"]) {
    const error = await through(new URL(`http://${user}@127.0.0.1:1`));
    assert.is(error.code, "usage");
    assert.not.match(error.message, /s3cr/);
  }
});

for (
  const [name, reply, expected] of [
    ["another status", "HTTP/1.1 502 Bad Gateway\r\n\r\n", /answered 502/],
    ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", /not a response/],
    ["an endless head", `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(4_000)}`, /longer than/],
    ["an end", "", /cut off/],
    ["more than an answer", "HTTP/1.1 200 OK\r\n\r\nhello", /more than an answer/],
  ] as const
) {
  test(`a proxy that answers with ${name} is unreachable, in those words`, async () => {
    await using proxy = serveProxy({ reply });
    const error = await through(proxy.url());
    assert.is(error.code, "unreachable");
    assert.match(error.message, expected);
  });
}

test("a proxy where nothing listens is unreachable", async () => {
  const proxy = serveProxy({});
  const url = proxy.url();
  await proxy[Symbol.asyncDispose]();
  const error = await through(url);
  assert.is(error.code, "unreachable");
  assert.match(error.message, /through the proxy 127\.0\.0\.1.*nothing listens/);
});

test("a cancelled way through a proxy that says nothing ends at once", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = new URL(`http://127.0.0.1:${(silent.addr as Deno.NetAddr).port}`);
  const gone = new AbortController();
  const connecting = connectThroughProxy(url, "relay.example", 443, connectTcp, gone.signal);
  const conn = await silent.accept();
  gone.abort();
  assert.is(await bounded("the attempt", connecting.catch((error) => error.code)), "aborted");
  const bytes = new Uint8Array(1024);
  await bounded(
    "the end",
    (async () => {
      while (await conn.read(bytes) !== null);
    })(),
  );
  conn.close();
  silent.close();
});

test("connectTcp says when a name has no address", async () => {
  const error = await connectTcp("no-such-host.invalid", 1).catch((error) => error);
  assert.ok(error instanceof TunnelError && error.code === "unreachable", String(error));
  assert.match(error.message, /no address/);
});

interface ProxyBehaviour {
  /** `user:password` that it asks for. */
  credentials?: string;
  /** Answers every request with this status. */
  status?: number;
  /** Answers every request with this. */
  reply?: string;
}

/** A CONNECT proxy on loopback. */
function serveProxy({ credentials, status, reply }: ProxyBehaviour) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const targets: string[] = [];
  const conns: Deno.Conn[] = [];
  const base64 = credentials &&
    btoa(String.fromCharCode(...new TextEncoder().encode(credentials)));
  const answer = (conn: Deno.Conn, text: string) => conn.write(new TextEncoder().encode(text));
  const serve = async (conn: Deno.Conn) => {
    conns.push(conn);
    const { text } = await readHead(conn);
    const authority = /^CONNECT (\S+) HTTP\/1\.1\r\n/.exec(text)![1]!;
    targets.push(authority);
    if (reply !== undefined) {
      await answer(conn, reply);
      return await conn.closeWrite();
    }
    if (status) return await answer(conn, `HTTP/1.1 ${status} No\r\n\r\n`);
    if (base64 && !text.includes(`\r\nProxy-Authorization: Basic ${base64}\r\n`)) {
      return await answer(conn, "HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic\r\n\r\n");
    }
    const [, host, port] = /^(.*):(\d+)$/.exec(authority)!;
    const other = await Deno.connect({ hostname: host!, port: Number(port) });
    conns.push(other);
    await answer(conn, "HTTP/1.1 200 Connection established\r\nX-Test: yes\r\n\r\n");
    await Promise.all([copy(conn, other), copy(other, conn)]);
  };
  const serving = (async () => {
    // What a client breaks off is not this proxy's business.
    for await (const conn of listener) serve(conn).catch(() => {});
  })();
  return {
    targets,
    url: (user = "") => {
      const url = new URL(`http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`);
      const [name, ...password] = user.split(":");
      // Not by the setters: they leave % alone.
      url.username = encodeURIComponent(name!);
      url.password = encodeURIComponent(password.join(":"));
      return url;
    },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await serving;
      for (const conn of conns) {
        try {
          conn.close();
        } catch {
          // It was closed by its other end.
        }
      }
    },
  };
}

async function copy(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const bytes = new Uint8Array(65_536);
  for (let count; (count = await from.read(bytes)) !== null;) {
    for (let at = 0; at < count;) at += await to.write(bytes.subarray(at, count));
  }
  await to.closeWrite();
}

async function through(proxy: URL): Promise<TunnelError> {
  const attempt = connectThroughProxy(proxy, "relay.example", 8443, connectTcp);
  const error = await bounded("the attempt", attempt.catch((error) => error));
  assert.ok(error instanceof TunnelError, String(error));
  return error;
}

function thrown(work: () => unknown): TunnelError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof TunnelError, String(error));
    return error;
  }
  throw new Error("nothing was thrown");
}

function environment(variables: Record<string, string>) {
  return (name: string) => variables[name];
}

test.run();
