import { suite } from "uvu";
import * as assert from "uvu/assert";
import { concat } from "../bytes.ts";
import { TunnelError } from "../errors.ts";
import type { Limits, Session, Stream } from "../transport.ts";
import { bounded } from "../../tests/conformance.ts";
import { INITIAL_WINDOW } from "./receive_half.ts";
import { multiplex } from "./session.ts";
import { socketPair } from "./test_socket.ts";

const test = suite("mux session");
const remote = { hostname: "memory", port: 1 };

test("a writer stalls after one window, and each read lets it go on", async () => {
  const { near, far, end } = await streams();
  const writer = near.writable.getWriter();
  let taken = 0;
  const writing = (async () => {
    for (; taken < 2 * INITIAL_WINDOW; taken += 1024) await writer.write(new Uint8Array(1024));
    await writer.close();
  })();
  await settled(() => taken);
  // The byte that opened the stream is part of the window, and a write is taken whole or not.
  assert.is(taken, INITIAL_WINDOW - 1024);
  let read = 0;
  for await (const chunk of far.readable) read += chunk.length;
  await bounded("the writer", writing);
  assert.is(read, 2 * INITIAL_WINDOW);
  await end();
});

test("one write larger than the window arrives whole", async () => {
  const { near, far, end } = await streams();
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const large = new Uint8Array(1_000_003).map((_, i) => bytes[i & 0xffff]!);
  const writer = near.writable.getWriter();
  const writing = writer.write(large).then(() => writer.close());
  assert.equal(await readAll(far), large);
  await bounded("the writer", writing);
  await end();
});

test("an abort ends a write that waits for credit, and the peer's reading", async () => {
  const { near, far, end } = await streams();
  const writer = near.writable.getWriter();
  const blocked = writer.write(new Uint8Array(INITIAL_WINDOW + 1)).then(() => "done", () => "no");
  await writer.abort(new Error("enough"));
  assert.is(await bounded("the write", blocked), "no");
  const error = await bounded("the reader", readAll(far).catch((error) => error));
  assert.ok(error instanceof TunnelError && error.code === "reset", String(error));
  await end();
});

test("a cancel rejects a write that waits for credit", async () => {
  const { near, far, end } = await streams();
  const blocked = near.writable.getWriter().write(new Uint8Array(INITIAL_WINDOW + 1)).catch((e) =>
    e
  );
  await far.readable.cancel();
  const error = await bounded("the write", blocked);
  assert.ok(error instanceof TunnelError && error.code === "reset", String(error));
  await end();
});

test("after a cancel the other direction still works", async () => {
  const { near, far, end } = await streams();
  await far.readable.cancel();
  const writer = far.writable.getWriter();
  await writer.write(new Uint8Array([1, 2, 3]));
  await writer.close();
  assert.equal([...await readAll(near)], [1, 2, 3]);
  await end();
});

test("what was written is copied before the write settles", async () => {
  const { near, far, end } = await streams();
  const writer = near.writable.getWriter();
  const bytes = new Uint8Array(70_000).fill(7);
  await writer.write(bytes);
  bytes.fill(0);
  await writer.close();
  assert.ok((await readAll(far)).every((byte) => byte === 7));
  await end();
});

test("a write of something else fails and resets the stream", async () => {
  const { near, far, end } = await streams();
  const wrong = "text" as unknown as Uint8Array;
  const error = await near.writable.getWriter().write(wrong).catch((error) => error);
  assert.is(error.code, "usage");
  assert.is(await bounded("the reader", readAll(far).then(() => "end", (e) => e.code)), "reset");
  await end();
});

test("waiting opens are served in order, and one that gave up is passed over", async () => {
  const { client, server, end } = sessions({ streams: 1 });
  const first = await client.openStream();
  const order: string[] = [];
  const gone = new AbortController();
  const opens = ["a", "b", "c"].map((name) =>
    client.openStream({ signal: name === "b" ? gone.signal : undefined })
      .then((stream) => (order.push(name), finish(stream)), (error) => order.push(error.code))
  );
  gone.abort();
  const serving = (async () => {
    for await (const stream of server.incoming) await finish(stream);
  })();
  await finish(first);
  await bounded("the opens", Promise.all(opens));
  assert.equal(order, ["aborted", "a", "c"]);
  await end();
  await serving;
});

test("1,000 streams in sequence where one at a time is allowed", async () => {
  const { client, server, end } = sessions({ streams: 1 });
  const serving = (async () => {
    for await (const stream of server.incoming) await finish(stream);
  })();
  for (let i = 0; i < 1_000; i++) await finish(await bounded("open", client.openStream()));
  await end();
  await serving;
});

test("places that were given back can all be used again", async () => {
  const { client, server, end } = sessions({ streams: 4 });
  const accepted = server.incoming;
  for (let ended = 0; ended <= 4; ended++) {
    for (let i = 0; i < ended; i++) {
      const near = await bounded("open", client.openStream());
      const finishing = finish(near);
      await finish((await accepted.next()).value!);
      await finishing;
    }
    const all = await bounded("4 opens", Promise.all([1, 2, 3, 4].map(() => client.openStream())));
    const finishing = all.map((stream) => finish(stream));
    for (const _ of all) await finish((await accepted.next()).value!);
    await Promise.all(finishing);
  }
  await end();
});

test("streams that nobody accepts are bounded by the limit, and refused by a cancel", async () => {
  const { client, server, end } = sessions({ streams: 3 });
  const opened = await Promise.all([1, 2, 3].map(() => client.openStream()));
  for (const stream of opened) await stream.writable.getWriter().write(new Uint8Array(1));
  const fourth = client.openStream();
  assert.is(await Promise.race([fourth.then(() => "opened"), turns(50, "waits")]), "waits");
  await server.incoming.return!();
  const fates = opened.map((stream) => readAll(stream).then(() => "end", (error) => error.code));
  assert.equal(await bounded("refusals", Promise.all(fates)), ["reset", "reset", "reset"]);
  await finish(opened[0]!).catch(() => {}); // Its writer is held, and its reader has failed.
  await end();
  await fourth.catch(() => {}); // The session has ended with it waiting, or just before.
});

test("a session on which nothing happens stays", async () => {
  const { client, server, near, end } = sessions({ keepAlive: 30, idleTimeout: 100 });
  const ended = Promise.race([client.closed, server.closed]).then(() => "ended", () => "lost");
  // A dozen signs of life 30 ms apart are several idle timeouts.
  const alive = (async () => {
    for (const start = near.sent; near.sent < start + 12;) await turns(1, undefined);
    return "alive";
  })();
  assert.is(await bounded("signs of life", Promise.race([ended, alive])), "alive");
  await end();
});

test("the shorter of both idle timeouts holds for both", async () => {
  const [near, far] = socketPair();
  const patient = multiplex(near, {
    role: "client",
    transport: "mux",
    remote,
    limits: { idleTimeout: 3_600_000, keepAlive: 3_600_000 },
  });
  multiplex(far, { role: "server", transport: "mux", remote, limits: { idleTimeout: 200 } });
  await patient.openStream(); // Now it has heard of the other's.
  far.pause();
  near.pause();
  const error = await bounded("death", patient.closed.catch((error) => error));
  assert.ok(error instanceof TunnelError && error.code === "reset", String(error));
});

test("sessions that speak at one moment, and have no data, take little memory for it", async () => {
  const all = Array.from({ length: 20 }, () => sessions());
  await Promise.all(all.map(async ({ client }) => await client.openStream())); // Both have greeted.
  const { ArrayBuffer } = globalThis;
  let largest = 0;
  globalThis.ArrayBuffer = class extends ArrayBuffer {
    constructor(...args: [number]) {
      super(...args);
      largest = Math.max(largest, args[0]);
    }
  } as typeof ArrayBuffer;
  try {
    for (const { client } of all) client.close();
    await bounded("the ends", Promise.all(all.map(({ client }) => client.closed)));
  } finally {
    globalThis.ArrayBuffer = ArrayBuffer;
  }
  assert.ok(largest > 0 && largest < 8_192, `${largest} bytes in one piece`);
  await Promise.all(all.map(({ end }) => end()));
});

test("close is over in a few seconds when the peer does not read", async () => {
  const { client, far, end } = sessions();
  far.pause();
  client.close({ code: 1, reason: "nobody listens" });
  assert.equal(await bounded("close", client.closed), { code: 1, reason: "nobody listens" });
  await end();
});

test("only the first close counts, at both ends", async () => {
  const { client, server, end } = sessions();
  client.close({ code: 1, reason: "first" });
  client.close({ code: 2, reason: "second" });
  assert.is((await bounded("the peer", server.closed)).reason, "first");
  server.close({ code: 3, reason: "too late" });
  assert.is((await bounded("this end", client.closed)).reason, "first");
  assert.is((await server.closed).reason, "first");
  await end();
});

test("a connection that ends without a word fails everything with reset", async () => {
  const { client, near } = sessions();
  const stream = await client.openStream();
  const waits = [
    client.closed,
    stream.readable.getReader().read(),
    client.incoming.next(),
  ].map((wait) => wait.then(() => "fine", (error: TunnelError) => error.code));
  near.abort();
  assert.equal(await bounded("the failures", Promise.all(waits)), ["reset", "reset", "reset"]);
  assert.is(await client.openStream().catch((error) => error.code), "reset");
});

function sessions(limits?: Partial<Limits>) {
  const [near, far] = socketPair();
  const client: Session = multiplex(near, { role: "client", transport: "mux", remote, limits });
  const server: Session = multiplex(far, { role: "server", transport: "mux", remote, limits });
  const end = async () => {
    client.close();
    await bounded("the end", Promise.allSettled([client.closed, server.closed]));
  };
  return { client, server, near, far, end };
}

/** Two ends of one stream. */
async function streams() {
  const { client, server, end } = sessions();
  const near = await client.openStream();
  const opener = near.writable.getWriter();
  await opener.write(new Uint8Array(1));
  opener.releaseLock();
  const far = (await server.incoming.next()).value!;
  const reader = far.readable.getReader();
  await reader.read();
  reader.releaseLock();
  return { near, far, end };
}

async function readAll(stream: Stream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.readable) chunks.push(chunk);
  return concat(chunks);
}

/** Ends both directions, having waited for the peer to do so. */
async function finish(stream: Stream): Promise<void> {
  await Promise.all([stream.writable.close(), readAll(stream)]);
}

/** Goes on when the value has stopped changing: everything here runs in turns of the event loop. */
async function settled(value: () => number): Promise<void> {
  for (let before = -1; before !== value();) {
    before = value();
    await turns(20, undefined);
  }
}

async function turns<T>(count: number, value: T): Promise<T> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
  return value;
}

test.run();
