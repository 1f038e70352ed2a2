/**
 * The contract of core/transport.ts as tests, written once and run against every transport.
 * A transport hands in a {@linkcode Fixture}; nothing here knows which one it is.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay, withDeadline } from "../core/deadline.ts";
import { TunnelError } from "../core/errors.ts";
import type { Limits, Session, Stream } from "../core/transport.ts";
import { newSeed, Random } from "./random.ts";

/** How a transport makes what the suite needs. */
export interface Fixture {
  readonly name: string;
  /** Two ends of one session. */
  pair(limits?: Partial<Limits>): Promise<Pair>;
  /** A session whose peer echoes every stream, and a way to make that peer vanish. */
  mortal(limits: Partial<Limits>): Promise<{ session: Session; kill(): void }>;
  /** Starts a dial that cannot succeed, for cancelling. */
  stuckDial?(signal: AbortSignal, limits: Partial<Limits>): Promise<Session>;
}

export interface Pair extends AsyncDisposable {
  readonly client: Session;
  readonly server: Session;
}

const SECOND = 1_000;
const MIB = 1024 * 1024;

/** Registers and runs the suite for one transport. */
export function conformance(fixture: Fixture): void {
  const test = suite(`conformance: ${fixture.name}`);
  const check = (
    name: string,
    body: (pair: Pair, bound: <T>(what: string, work: Promise<T>) => Promise<T>) => Promise<void>,
    limits?: Partial<Limits>,
  ) =>
    test(name, async () => {
      await using pair = await fixture.pair(limits);
      await body(pair, bounded);
    });

  check("a stream carries bytes both ways and ends in each direction on its own", async (pair) => {
    const [near, far] = await connected(pair.client, pair.server);
    await write(near, text("question"));
    await near.writable.close();
    assert.is(decode(await readAll(far)), "question");
    await write(far, text("answer after the question has ended"));
    await far.writable.close();
    assert.is(decode(await readAll(near)), "answer after the question has ended");
  });

  check("the server opens streams too", async (pair) => {
    const [near, far] = await connected(pair.server, pair.client);
    await write(near, text("from the server"));
    await near.writable.close();
    assert.is(decode(await readAll(far)), "from the server");
  });

  check("bytes arrive whole and in order in both directions at once", async (pair) => {
    const seed = newSeed();
    const [near, far] = await connected(pair.client, pair.server);
    const send = async (stream: Stream, seed: number) => {
      const random = new Random(seed);
      const writer = stream.writable.getWriter();
      for (let sent = 0; sent < 4 * MIB;) {
        const chunk = random.bytes(random.below(100_000));
        await writer.write(chunk);
        sent += chunk.length;
      }
      await writer.close();
    };
    const receive = async (stream: Stream, seed: number) => {
      const random = new Random(seed);
      const bytes = await readAll(stream);
      for (let at = 0; at < 4 * MIB;) {
        const chunk = random.bytes(random.below(100_000));
        assert.ok(equal(bytes.subarray(at, at + chunk.length), chunk), `differs near ${at}`);
        at += chunk.length;
        if (at >= 4 * MIB) assert.is(bytes.length, at);
      }
    };
    await bounded(
      "both directions",
      Promise.all([
        send(near, seed),
        receive(far, seed),
        send(far, seed + 1),
        receive(near, seed + 1),
      ]),
    );
  });

  check("an aborted writer stops its reader", async (pair) => {
    const [near, far] = await connected(pair.client, pair.server);
    await write(near, text("begun"));
    const reader = far.readable.getReader();
    assert.is(decode((await reader.read()).value!), "begun");
    near.writable.abort(new Error("changed my mind")).catch(() => {});
    const rest = await bounded("the reader", reader.read().then((r) => r.done, () => "error"));
    assert.ok(rest === true || rest === "error", "the reader was given more than was written");
  });

  check("a cancelled reader fails its writer", async (pair) => {
    const [near, far] = await connected(pair.client, pair.server);
    await far.readable.cancel("enough");
    const writer = near.writable.getWriter();
    const outcome = await bounded(
      "the writer",
      (async () => {
        for (let i = 0; i < 10_000; i++) await writer.write(new Uint8Array(65_536));
        return "all was taken";
      })().catch(() => "rejected"),
    );
    assert.is(outcome, "rejected");
  });

  check("a reader that does not read stalls its writer, and nobody else", async (pair) => {
    const [near, far] = await connected(pair.client, pair.server);
    const [beside, echo] = await connected(pair.client, pair.server);
    const echoing = serveEcho(echo);
    let accepted = 0;
    const stop = new AbortController();
    const writing = (async () => {
      const writer = near.writable.getWriter();
      while (!stop.signal.aborted && accepted < 256 * MIB) {
        await writer.write(new Uint8Array(65_536));
        accepted += 65_536;
      }
      await writer.close();
    })();
    const roundTrips = roundTripper(beside);
    let before = -1;
    // The neighbour's progress is the clock: the writer has stalled when that does not move it on.
    for (let i = 0; i < 200 && before !== accepted; i++) {
      before = accepted;
      await bounded("the neighbour", roundTrips.run(50));
    }
    assert.is(accepted, before, "the writer never stalled");
    assert.ok(accepted <= 16 * MIB, `${accepted} bytes were taken for a reader that reads nothing`);
    stop.abort();
    const received = await bounded("the rest", readAll(far));
    await writing;
    assert.is(received.length, accepted);
    await roundTrips.end();
    await echoing;
  });

  check("1,000 streams in sequence", async (pair) => {
    const serving = serveEchoes(pair.server, 1_000);
    for (let i = 0; i < 1_000; i++) {
      const stream = await bounded("open", pair.client.openStream());
      assert.is(decode(await exchange(stream, `stream ${i}`)), `stream ${i}`);
    }
    await serving;
  });

  check("100 streams at once", async (pair) => {
    const serving = serveEchoes(pair.server, 100);
    await bounded(
      "100 streams",
      Promise.all(Array.from({ length: 100 }, async (_, i) => {
        const message = `${i} `.repeat(5_000);
        assert.is(decode(await exchange(await pair.client.openStream(), message)), message);
      })),
    );
    await serving;
  });

  check("an open beyond the peer's limit waits until a stream has ended", async (pair) => {
    const streams: [Stream, Stream][] = [];
    for (let i = 0; i < 4; i++) streams.push(await connected(pair.client, pair.server));
    const gone = new AbortController();
    const cancelled = pair.client.openStream({ signal: gone.signal });
    const waiting = connected(pair.client, pair.server);
    gone.abort();
    assert.is(await bounded("the cancelled open", cancelled.then(() => "opened", code)), "aborted");
    const [near, far] = streams[2]!;
    await Promise.all([near.writable.close(), far.writable.close(), readAll(far), readAll(near)]);
    const [fifth] = await bounded("the fifth stream", waiting);
    assert.ok(fifth);
  }, { streams: 4 });

  check("a close tells the peer why, and ends everything on the session", async (pair) => {
    const [near, far] = await connected(pair.client, pair.server);
    const reading = far.readable.getReader().read().then((r) => r.done, () => true);
    pair.client.close({ code: 2, reason: "going for lunch" });
    const theirs = await bounded("the peer", pair.server.closed);
    assert.equal({ ...theirs }, { code: 2, reason: "going for lunch" });
    assert.is((await bounded("this end", pair.client.closed)).code, 2);
    assert.is(await bounded("the pending read", reading), true);
    assert.is(
      await bounded("an open", pair.server.openStream().then(() => "opened", () => "no")),
      "no",
    );
    const next = await bounded("incoming", pair.server.incoming.getReader().read());
    assert.is(next.done, true);
    assert.is(await bounded("a write", lateWrites(near.writable.getWriter())), "no");
  });

  test("a peer that vanishes is noticed, and everything pending fails", async () => {
    const { session, kill } = await fixture.mortal({ keepAlive: 200, idleTimeout: 1 * SECOND });
    const stream = await session.openStream();
    const writer = stream.writable.getWriter();
    await writer.write(text("hello"));
    const reader = stream.readable.getReader();
    assert.is(decode((await bounded("the echo", reader.read())).value!), "hello");
    const pending = reader.read().then(() => "more", () => "failed");
    const accepting = session.incoming.getReader().read().then(() => "more", code);
    kill();
    assert.is(await bounded("closed", session.closed.then(() => "in order", code)), "reset");
    assert.is(await bounded("the pending read", pending), "failed");
    assert.is(await bounded("accepting", accepting), "reset");
    assert.is(
      await bounded("an open", session.openStream().then(() => "opened", () => "no")),
      "no",
    );
    assert.is(await bounded("a write", lateWrites(writer)), "no");
  });

  if (fixture.stuckDial) {
    const stuckDial = fixture.stuckDial;
    test("a cancelled dial ends at once and leaves nothing behind", async () => {
      const { gc } = globalThis as { gc?: () => void };
      assert.ok(gc, "run it with --v8-flags=--expose-gc, as `deno task test` does");
      const before = await openFiles();
      for (let i = 0; i < 20; i++) {
        const gone = new AbortController();
        const dial = stuckDial(gone.signal, { idleTimeout: 1 * SECOND }).then(
          () => "connected",
          code,
        );
        setTimeout(() => gone.abort(), i % 4 * 10);
        assert.is(await bounded("the cancelled dial", dial), "aborted");
      }
      // The system tells nobody when a socket is freed: after draining (RFC 9000, section 10.2) and
      // garbage collection. So this looks until it is, or fails.
      for (let i = 0; i < 200 && await openFiles() > before; i++) {
        gc!();
        await delay(100);
      }
      assert.ok(await openFiles() <= before, `${before} files were open, now ${await openFiles()}`);
    });
  }

  test.run();
}

/** Whether writes fail once the session is gone; a platform may take a few before it notices. */
async function lateWrites(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<string> {
  try {
    for (let i = 0; i < 100; i++) await writer.write(new Uint8Array(65_536));
    return "taken";
  } catch {
    return "no";
  }
}

/** Fails a test that would otherwise hang. */
export function bounded<T>(what: string, work: Promise<T>): Promise<T> {
  return withDeadline({ action: what, timeout: 60 * SECOND }, () => work);
}

/** Opens a stream at one end and accepts it at the other; its first byte is spent on that. */
async function connected(from: Session, to: Session): Promise<[Stream, Stream]> {
  return await bounded(
    "a new stream",
    (async () => {
      const near = await from.openStream();
      const accepting = accept(to);
      await write(near, new Uint8Array([1]));
      const far = await accepting;
      const reader = far.readable.getReader();
      const first = await reader.read();
      assert.is(first.value?.length, 1);
      reader.releaseLock();
      return [near, far];
    })(),
  );
}

async function accept(session: Session): Promise<Stream> {
  const reader = session.incoming.getReader();
  try {
    const { value, done } = await reader.read();
    if (done) throw new Error("the session ended");
    return value;
  } finally {
    reader.releaseLock();
  }
}

async function write(stream: Stream, bytes: Uint8Array): Promise<void> {
  const writer = stream.writable.getWriter();
  await writer.write(bytes);
  writer.releaseLock();
}

async function readAll(stream: Stream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.readable) chunks.push(chunk.slice());
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

async function exchange(stream: Stream, message: string): Promise<Uint8Array> {
  const [, answer] = await Promise.all([
    write(stream, text(message)).then(() => stream.writable.close()),
    readAll(stream),
  ]);
  return answer;
}

/** Sends back what comes, until the peer ends. */
export async function serveEcho(stream: Stream): Promise<void> {
  const reader = stream.readable.getReader();
  const writer = stream.writable.getWriter();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    await writer.write(value);
  }
  await writer.close();
}

async function serveEchoes(session: Session, count: number): Promise<void> {
  const serving: Promise<void>[] = [];
  for (let i = 0; i < count; i++) serving.push(serveEcho(await accept(session)));
  await Promise.all(serving);
}

function roundTripper(stream: Stream) {
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  return {
    async run(times: number) {
      for (let i = 0; i < times; i++) {
        await writer.write(new Uint8Array([i]));
        await reader.read();
      }
    },
    end: () => writer.close(),
  };
}

/** File descriptors of this process; 0 where the system does not tell. */
export async function openFiles(): Promise<number> {
  try {
    let count = 0;
    for await (const _ of Deno.readDir("/proc/self/fd")) count++;
    return count;
  } catch {
    return 0; // Not Linux: the comparison then says nothing.
  }
}

function code(error: unknown): string {
  return error instanceof TunnelError ? error.code : `not a TunnelError: ${error}`;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const text = (value: string) => new TextEncoder().encode(value);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
