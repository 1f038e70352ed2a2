import net from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay } from "../../core/deadline.ts";
import { TunnelError } from "../../core/errors.ts";
import type { Duplex, ReadAhead } from "../../core/duplex.ts";
import { bounded } from "../../tests/conformance.ts";
import { failureOf } from "../../tests/failure.ts";
import { freePort } from "../../tests/ssh_server.ts";
import { newSeed, Random } from "../../tests/random.ts";
import * as deno from "./deno.ts";
import * as node from "./node.ts";
import { libc } from "../system/libc.ts";

const canReset = typeof net.Socket.prototype.resetAndDestroy === "function";
const over = new TunnelError("reset", { action: "test", state: "it is over" });
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
    near.reset(over);
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
    far.reset(over);
    near.reset(over);
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

  test("what came with a connection is known when it is handed over, and read once", async () => {
    const accepted = Promise.withResolvers<ReadAhead>();
    await using listener = await tcp.listenTcp(
      { hostname: "127.0.0.1", port: 0 },
      accepted.resolve,
    );
    // Nothing happens here until it has written and gone.
    const script = `const conn = await Deno.connect({ port: ${listener.port} });
      await conn.write(new TextEncoder().encode("early"));
      conn.close();`;
    new Deno.Command(Deno.execPath(), { args: ["eval", script] }).outputSync();
    const socket = await bounded("the connection", accepted.promise);
    const early = socket.early();
    if (name === "deno") assert.is(text(early!), "early");
    const read = await socket.read();
    assert.is(early ? read : text(read), early ? null : "early");
    socket.reset(over);
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

for (const [name, tcp] of resetting()) {
  const resets = suite(`tcp: reset by ${name}`);

  for (const side of ["connected", "accepted"] as const) {
    resets(`a reset of a ${side} socket reaches the peer as RST, not as an end`, async () => {
      const { near, far } = await pair(tcp);
      const [here, there] = side === "connected" ? [near, far] : [far, near];
      // Behind what was read and what was not.
      await there.write(bytes("question"));
      assert.is(text(await here.read()), "question");
      const outcome = there.read().then(() => "end", (error) => error);
      here.reset(over);
      const error = await bounded("the peer", outcome);
      assert.instance(error, TunnelError);
      assert.match(error.message, /connection reset/);
      assert.match((await failureOf(here.read())).message, /over/);
    });
  }

  resets("a reset ends a write that nobody reads, at both ends", async () => {
    const { near, far } = await pair(tcp);
    let taken = 0;
    const writing = (async () => {
      for (;; taken++) await near.write(new Uint8Array(65_536));
    })().catch((error) => error);
    for (let before = -1; before !== taken; await delay(100)) before = taken;
    near.reset(over);
    assert.match((await bounded("the writer", writing)).message, /over/);
    const reading = (async () => {
      while (await far.read() !== null);
      return "end";
    })();
    assert.match((await failureOf(bounded("the reader", reading))).message, /connection reset/);
  });

  resets(
    "a reset is one of a hundred connections, and of none that came in its place",
    async () => {
      const pairs = [];
      for (let i = 0; i < 100; i++) pairs.push(await pair(tcp));
      const gone = pairs.filter((_, i) => i % 3 === 0);
      const left = pairs.filter((_, i) => i % 3 !== 0);
      const outcomes = gone.map(({ far }) => failureOf(bounded("the peer", far.read())));
      for (const { near } of gone) near.reset(over);
      for (const error of await Promise.all(outcomes)) {
        assert.match(error.message, /connection reset/);
      }
      for (let i = 0; i < 20; i++) {
        left.push(await pair(tcp));
      }
      for (const { near } of gone) near.reset(over);
      for (const { near, far } of left) {
        await near.write(bytes("still here"));
        assert.is(text(await bounded("the bytes", far.read())), "still here");
        near.reset(over);
      }
    },
  );

  resets.run();
}

/** Deno's needs the C library for it, where that may be called; `node:net` of Deno before 2.9 has none. */
function resetting(): [string, typeof deno | typeof node][] {
  const all: [string, typeof deno | typeof node][] = [];
  if (libc()) all.push(["deno", deno]);
  if (canReset) all.push(["node", node]);
  return all;
}

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
