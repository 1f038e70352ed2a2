import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay } from "../../core/deadline.ts";
import { TunnelError } from "../../core/errors.ts";
import { bounded } from "../../tests/conformance.ts";
import { testGround } from "../../tests/network_fixture.ts";
import { developmentCertificate } from "../../stores/certificate.ts";
import { tempDir } from "../../tests/processes.ts";
import { libc } from "../system/libc.ts";
import { connectTcp } from "../tcp/tcp.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { ALPN, canServeByNode, listenTls, type ServerConn, type TlsServer } from "./tls_server.ts";
import { listenDenoTls } from "./tls_server_deno.ts";
import { listenNodeTls } from "./tls_server_node.ts";

const test = suite("TLS server");
const { cert, key, root } = await testGround();
const options = { hostname: "127.0.0.1", port: 0, cert, key };
const byNode = canServeByNode();

const makers: Record<string, () => Promise<TlsServer> | TlsServer> = {
  "by Deno": () => listenDenoTls(options),
  ...(byNode ? { "by Node": () => listenNodeTls(options) } : {}),
};

/** Those that lack nothing: by Deno with the C library, by Node since Deno 2.9. */
const able = Object.fromEntries(
  Object.entries(makers).filter(([name]) => name === "by Node" || libc()),
);

for (const [name, make] of Object.entries(makers)) {
  test(`bytes pass both ways and end in each direction (${name})`, async () => {
    const { near, far, end } = await connected(make);
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    const sending = (async () => {
      for (let i = 0; i < 20; i++) await writeAll(near, bytes);
      await near.closeWrite();
    })();
    const received = await bounded("the bytes", readAll(far));
    await sending;
    assert.is(received.length, 20 * bytes.length);
    for (let i = 0; i < 20; i++) {
      assert.equal(received.slice(i * bytes.length, (i + 1) * bytes.length), bytes);
    }
    await writeAll(far, bytes);
    await far.closeWrite();
    assert.equal(await bounded("the answer", readAll(near)), bytes);
    end();
  });

  test(`an end that comes before anybody reads is not lost (${name})`, async () => {
    const { near, far, end } = await connected(make);
    await writeAll(far, new Uint8Array(300_000));
    await far.closeWrite();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.is((await bounded("the bytes", readAll(near))).length, 300_000);
    end();
  });

  test(`a reader that pauses at random gets every byte in order (${name})`, async () => {
    const random = new Random(newSeed());
    const { near, far, end } = await connected(make);
    const total = 20_000_000;
    const pattern = new Uint32Array(total / 4).map((_, i) => i);
    const writing = writeAll(far, new Uint8Array(pattern.buffer));
    const buffer = new ArrayBuffer(65_536);
    const word = new Uint32Array(1);
    const wordBytes = new Uint8Array(word.buffer);
    for (let at = 0; at < total;) {
      if (random.below(20) === 0) await delay(random.below(20));
      const count = await bounded("bytes", near.read(new Uint8Array(buffer)));
      for (const byte of new Uint8Array(buffer, 0, count!)) {
        word[0] = at >>> 2;
        if (byte !== wordBytes[at & 3]) throw new Error(`byte ${at} differs`);
        at++;
      }
    }
    await writing;
    end();
  });

  test(`a reader that does not read stalls its writer (${name})`, async () => {
    const { near, end } = await connected(make);
    const chunk = new Uint8Array(65_536);
    let written = 0;
    const writing = (async () => {
      for (;;) written += await near.write(chunk);
    })().catch(() => {}); // It ends with the connection.
    for (let before = -1; before !== written;) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(written < 64 * 1024 * 1024, `${written} bytes were taken`);
    end();
    near.close();
    if (name in able) await bounded("the write", writing);
  });

  test(`closing the server ends its iteration, not its connections (${name})`, async () => {
    const server = await make();
    const accepted = Promise.withResolvers<ServerConn>();
    const iteration = (async () => {
      for await (const conn of server) accepted.resolve(conn);
      return "over";
    })();
    const far = await secure(server);
    const near = await bounded("the connection", accepted.promise);
    await Promise.all([near.handshake(), far.handshake()]);
    server.close();
    server.close();
    assert.is(await bounded("the iteration", iteration), "over");
    await writeAll(near, new Uint8Array([7]));
    const byte = new Uint8Array(1);
    assert.is(await bounded("a byte", far.read(byte)), 1);
    assert.is(byte[0], 7);
    near.close();
    far.close();
  });

  test(`a handshake that fails rejects, whatever came (${name})`, async () => {
    const server = await make();
    const accepting = first(server);
    const client = await Deno.connect(server.address);
    await client.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    const conn = await accepting;
    const outcome = conn.handshake().then(() => "fine", () => "failed");
    assert.is(await bounded("the handshake", outcome), "failed");
    conn.close();
    conn.close();
    client.close();
    server.close();
  });
}

for (const [name, make] of Object.entries(able)) {
  test(`a client that says nothing is rid of by a close, in front of the handshake or in it (${name})`, async () => {
    const server = await make();
    for (const inHandshake of [false, true]) {
      const accepting = first(server);
      const client = await Deno.connect(server.address);
      const conn = await accepting;
      const handshake = inHandshake ? conn.handshake().catch(() => "failed") : "failed";
      conn.close();
      assert.is(await bounded("the handshake", Promise.resolve(handshake)), "failed");
      const outcome = client.read(new Uint8Array(1)).then(String, String);
      assert.match(await bounded("the client", outcome), /^null$|reset by peer/);
      client.close();
    }
    server.close();
  });

  test(`what was written before a close arrives (${name})`, async () => {
    for (let i = 0; i < 20; i++) {
      const { near, far, end } = await connected(make);
      await writeAll(near, new Uint8Array([1, 2, 3]));
      near.close();
      const bytes = new Uint8Array(4);
      assert.is(await bounded("the bytes", far.read(bytes)), 3);
      end();
    }
  });

  test(`a client that has reset its connection is no harm to the others (${name})`, async () => {
    const server = await make();
    const conns = server[Symbol.asyncIterator]();
    for (let i = 0; i < 20; i++) {
      const accepting = conns.next();
      const gone = await connectTcp(server.address, new AbortController().signal);
      gone.reset(new TunnelError("reset", { action: "test", state: "over" }));
      const first: ServerConn = (await bounded("the connection", accepting)).value;
      const next = conns.next();
      const far = await secure(server);
      const near: ServerConn = (await bounded("the next", next)).value;
      await Promise.all([near.handshake(), far.handshake()]);
      first.close();
      await writeAll(near, new Uint8Array([i]));
      const byte = new Uint8Array(1);
      assert.is(await bounded("a byte", far.read(byte)), 1);
      assert.is(byte[0], i);
      near.close();
      far.close();
    }
    server.close();
  });

  test(`small writes are not held back for one another (${name})`, async () => {
    const { near, end } = await connected(make);
    assert.is(near.nagle, false);
    end();
  });

  test(`another certificate is shown from when it is there, on the same port (${name})`, async () => {
    const server = await make();
    const served = (async () => {
      for await (const conn of server) {
        conn.handshake().then(() => conn.close(), () => conn.close());
      }
      return "over";
    })();
    const other = await developmentCertificate((await tempDir()).path, { names: ["127.0.0.1"] });
    const trusts = async (caCert: string) => {
      const tcp = await Deno.connect(server.address);
      const conn = await Deno.startTls(tcp, { hostname: "127.0.0.1", caCerts: [caCert] });
      return await conn.handshake().then(() => true, () => false).finally(() => conn.close());
    };
    for (
      const [certificate, shown, hidden] of [
        [undefined, root, other.root],
        [other, other.root, root],
        [{ cert, key }, root, other.root],
      ] as const
    ) {
      if (certificate) server.renew!(certificate);
      assert.is(await bounded("the one in use", trusts(shown)), true);
      assert.is(await bounded("the other", trusts(hidden)), false);
    }
    server.close();
    assert.is(await bounded("the iteration", served), "over");
  });
}

test("a key of another certificate is a usage error", async () => {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
  ]);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const base64 = btoa(String.fromCharCode(...pkcs8)).replace(/.{64}/g, "$&\n");
  const other = `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`;
  const error = await listenTls({ ...options, key: other }).catch((error) => error);
  assert.ok(error instanceof TunnelError && error.code === "usage", String(error));
  assert.match(error.message, /not that of the certificate/);
});

async function connected(make: () => Promise<TlsServer> | TlsServer) {
  const server = await make();
  const accepting = first(server);
  const far = await secure(server);
  const near = await accepting;
  const [, { alpnProtocol }] = await Promise.all([near.handshake(), far.handshake()]);
  assert.is(alpnProtocol, "http/1.1");
  assert.is(near.remote.port, (far.localAddr as Deno.NetAddr).port);
  const end = () => {
    near.close();
    far.close();
    server.close();
  };
  return { near, far, end };
}

async function secure({ address }: TlsServer): Promise<Deno.TlsConn> {
  const tcp = await Deno.connect(address);
  const tls = { hostname: "127.0.0.1", caCerts: [root], alpnProtocols: ALPN };
  return await Deno.startTls(tcp, tls);
}

async function first(server: TlsServer): Promise<ServerConn> {
  for await (const conn of server) return conn;
  throw new Error("the server closed");
}

type Bytes = Pick<ServerConn, "read" | "write">;

async function writeAll(conn: Bytes, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

async function readAll(conn: Bytes): Promise<Uint8Array> {
  const bytes = new Uint8Array(2_000_000);
  for (let length = 0;;) {
    const count = await conn.read(bytes.subarray(length));
    if (count === null) return bytes.slice(0, length);
    length += count;
  }
}

/** What the system keeps at most, whatever is asked for; undefined where it does not say. */
function systemBacklog(): number | undefined {
  try {
    return Number(Deno.readTextFileSync("/proc/sys/net/core/somaxconn"));
  } catch {
    return undefined;
  }
}

/** Makes so many connections to a port at once, and prints how many there are within 10 s. */
const CROWD = `
  const [port, count] = Deno.args.map(Number);
  const signal = AbortSignal.timeout(10_000);
  const all = Array.from({ length: count }, () => Deno.connect({ hostname: "127.0.0.1", port, signal }));
  console.log((await Promise.allSettled(all)).filter(({ status }) => status === "fulfilled").length);
  Deno.exit();
`;

const CROWD_SIZE = 700;
// Elsewhere nothing tells what may be expected.
for (const [name, make] of Object.entries(able)) {
  if ((systemBacklog() ?? 0) <= CROWD_SIZE) continue;
  test(`a crowd that comes while nobody accepts has a place each (${name})`, async () => {
    const server = await make();
    const script = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(script, CROWD);
    const args = ["run", "-A", "--quiet", script, String(server.address.port), String(CROWD_SIZE)];
    try {
      // Nothing is accepted here until it is over.
      const { stdout } = new Deno.Command(Deno.execPath(), { args, stderr: "inherit" })
        .outputSync();
      assert.is(Number(new TextDecoder().decode(stdout)), CROWD_SIZE);
    } finally {
      server.close();
      await Deno.remove(script);
    }
  });
}

test.run();
