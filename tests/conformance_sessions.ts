/** What a transport's sessions must do: many streams, their limit, and a close in order. */

import * as assert from "uvu/assert";
import type { Stream } from "../core/transport.ts";
import { bounded } from "./bounded.ts";
import type { Check } from "./conformance.ts";
import { failureOf } from "./failure.ts";
import { connected, exchange, lateWrites, readAll, serveEchoes } from "./streams.ts";
import { text } from "./text.ts";

export function checkSessions(check: Check): void {
  check("1,000 streams in sequence", async (pair) => {
    const serving = serveEchoes(pair.server, 1_000);
    for (let i = 0; i < 1_000; i++) {
      const stream = await bounded("open", pair.client.openStream());
      assert.is(text(await exchange(stream, `stream ${i}`)), `stream ${i}`);
    }
    await serving;
  });

  check("100 streams at once", async (pair) => {
    const serving = serveEchoes(pair.server, 100);
    await bounded(
      "100 streams",
      Promise.all(Array.from({ length: 100 }, async (_, i) => {
        const message = `${i} `.repeat(5_000);
        assert.is(text(await exchange(await pair.client.openStream(), message)), message);
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
    assert.is((await bounded("the cancelled open", failureOf(cancelled))).code, "aborted");
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
    const next = await bounded("incoming", pair.server.incoming.next());
    assert.is(next.done, true);
    assert.is(await bounded("a write", lateWrites(near.writable.getWriter())), "no");
  });
}
