import net from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay } from "../../core/deadline.ts";
import { TunnelError } from "../../core/errors.ts";
import type { Duplex } from "../../core/duplex.ts";
import { bounded } from "../../tests/conformance.ts";
import { freePort } from "../../tests/ssh_server.ts";
import { newSeed, Random } from "../../tests/random.ts";
import * as deno from "./deno.ts";
import * as node from "./node.ts";
import { connectTcp as chosen } from "./tcp.ts";

const canReset = typeof net.Socket.prototype.resetAndDestroy === "function";
const never = new AbortController().signal;

// Only what is used on this version has to work on it.
for (const [name, tcp] of Object.entries(canReset ? { node, deno } : { deno })) {
  const test = suite(`tcp: ${name}`);

  test("bytes go both ways and each direction ends on its own", async () => {
    const { near, far } = await pair(tcp);
    await near.write(bytes("question"));
    await near.closeWrite();
    assert.is(text(await far.read()), "question");
    assert.is(await far.read(), null);
    await far.write(bytes("answer"));
    await far.closeWrite();
    assert.is(text(await near.read()), "answer");
    assert.is(await near.read(), null);
  });

  test("a reader that pauses at random gets every byte in order", async () => {
    const seed = newSeed();
    const random = new Random(seed);
    const { near, far } = await pair(tcp);
    const total = 20_000_000;
    const writing = (async () => {
      let value = 0;
      for (let sent = 0; sent < total; sent += 65_536) {
        const block = new Uint8Array(65_536);
        for (let i = 0; i < block.length; i += 4) new DataView(block.buffer).setUint32(i, value++);
        await far.write(block);
      }
      await far.closeWrite();
    })();
    let position = 0;
    for (let chunk; (chunk = await bounded("bytes", near.read())) !== null;) {
      if (random.below(8) === 0) await delay(random.below(3));
      for (const byte of chunk) {
        const expected = (position >>> 2) >>> (8 * (3 - position % 4)) & 0xff;
        if (byte !== expected) throw new Error(`byte ${position} differs`);
        position++;
      }
    }
    await writing;
    assert.ok(position >= total);
  });

  test("a slow reader stalls its writer", async () => {
    const { near, far } = await pair(tcp);
    let taken = 0;
    const writing = (async () => {
      while (taken < 200_000_000) {
        await near.write(new Uint8Array(65_536));
        taken += 65_536;
      }
    })().catch(() => {});
    let before = -1;
    while (before !== taken) {
      before = taken;
      await delay(200);
    }
    assert.ok(taken < 100_000_000, `${taken} bytes were taken`);
    far.reset(new TunnelError("reset", { action: "test", state: "over" }));
    near.reset(new TunnelError("reset", { action: "test", state: "over" }));
    await bounded("the writer", writing);
  });

  test("a connection that is refused says so", async () => {
    const port = freePort();
    const error = await tcp.connectTcp({ hostname: "127.0.0.1", port }, never).then(
      () => null,
      (error) => error,
    );
    assert.instance(error, TunnelError);
    assert.match(error.message, /connection refused/);
  });

  test("a port in use is refused with what to do", async () => {
    await using listener = await tcp.listenTcp({ hostname: "127.0.0.1", port: 0 }, () => {});
    const { port } = listener;
    const error = await tcp.listenTcp({ hostname: "127.0.0.1", port }, () => {}).then(
      () => null,
      (error) => error,
    );
    assert.is(error?.code, "unavailable");
    assert.match(error.message, /another program uses this port; .*--listen/);
  });

  test("a cancelled connection rejects at once", async () => {
    const stop = new AbortController();
    stop.abort(new TunnelError("aborted", { action: "test", state: "no" }));
    const error = await tcp.connectTcp({ hostname: "127.0.0.1", port: 9 }, stop.signal).then(
      () => null,
      (error) => error,
    );
    assert.is(error?.code, "aborted");
  });

  test.run();
}

const resets = suite("tcp: reset");
(canReset ? resets : resets.skip)(
  "a reset reaches the peer's socket as RST, not as an end",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepting = listener.accept();
    const near = await chosen({ hostname: "127.0.0.1", port: listener.addr.port }, never);
    using far = await accepting;
    near.reset(new TunnelError("reset", { action: "test", state: "the channel was reset" }));
    const outcome = await bounded(
      "the peer",
      far.read(new Uint8Array(1)).then(() => "end", (e) => e),
    );
    assert.instance(outcome, Deno.errors.ConnectionReset);
  },
);
resets.run();

async function pair(tcp: typeof deno | typeof node): Promise<{ near: Duplex; far: Duplex }> {
  const accepted = Promise.withResolvers<Duplex>();
  const listener = await tcp.listenTcp({ hostname: "127.0.0.1", port: 0 }, accepted.resolve);
  const near = await tcp.connectTcp({ hostname: "127.0.0.1", port: listener.port }, never);
  const far = await bounded("the connection", accepted.promise);
  // Stops accepting; what is open goes on.
  listener.close();
  return { near, far };
}

const bytes = (value: string) => new TextEncoder().encode(value);
const text = (value: Uint8Array | null) => new TextDecoder().decode(value!);
