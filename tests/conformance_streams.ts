/** What a transport's streams must do: bytes, ends, aborts and backpressure. */

import * as assert from "uvu/assert";
import type { Stream } from "../core/transport.ts";
import { bounded } from "./bounded.ts";
import type { Check } from "./conformance.ts";
import { newSeed, Random } from "./random.ts";
import { connected, readAll, roundTripper, serveEcho, write } from "./streams.ts";
import { bytes, text } from "./text.ts";

const MIB = 1024 * 1024;

export function checkStreams(check: Check): void {
  check("a stream carries bytes both ways and ends in each direction on its own", async (pair) => {
    const [near, far] = await connected(pair.client, pair.server);
    await write(near, bytes("question"));
    await near.writable.close();
    assert.is(text(await readAll(far)), "question");
    await write(far, bytes("answer after the question has ended"));
    await far.writable.close();
    assert.is(text(await readAll(near)), "answer after the question has ended");
  });

  check("the server opens streams too", async (pair) => {
    const [near, far] = await connected(pair.server, pair.client);
    await write(near, bytes("from the server"));
    await near.writable.close();
    assert.is(text(await readAll(far)), "from the server");
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
      const received = await readAll(stream);
      for (let at = 0; at < 4 * MIB;) {
        const chunk = random.bytes(random.below(100_000));
        assert.ok(equal(received.subarray(at, at + chunk.length), chunk), `differs near ${at}`);
        at += chunk.length;
        if (at >= 4 * MIB) assert.is(received.length, at);
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
    await write(near, bytes("begun"));
    const reader = far.readable.getReader();
    assert.is(text((await reader.read()).value!), "begun");
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
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
