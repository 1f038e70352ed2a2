/** What is left of a session whose peer has vanished, and of a dial that is cancelled: nothing. */

import type { Test } from "uvu";
import * as assert from "uvu/assert";
import { delay } from "../core/deadline.ts";
import { bounded } from "./bounded.ts";
import type { Fixture } from "./conformance.ts";
import { failureOf } from "./failure.ts";
import { lateWrites } from "./streams.ts";
import { bytes, text } from "./text.ts";

const SECOND = 1_000;

export function checkLoss(test: Test, fixture: Fixture): void {
  test("a peer that vanishes is noticed, and everything pending fails", async () => {
    const { session, kill } = await fixture.mortal({ keepAlive: 200, idleTimeout: 1 * SECOND });
    const stream = await session.openStream();
    const writer = stream.writable.getWriter();
    await writer.write(bytes("hello"));
    const reader = stream.readable.getReader();
    assert.is(text((await bounded("the echo", reader.read())).value!), "hello");
    const pending = reader.read().then(() => "more", () => "failed");
    const accepting = failureOf(session.incoming.next());
    kill();
    assert.is((await bounded("closed", failureOf(session.closed))).code, "reset");
    assert.is(await bounded("the pending read", pending), "failed");
    assert.is((await bounded("accepting", accepting)).code, "reset");
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
        const dial = failureOf(stuckDial(gone.signal, { idleTimeout: 1 * SECOND }));
        setTimeout(() => gone.abort(), i % 4 * 10);
        assert.is((await bounded("the cancelled dial", dial)).code, "aborted");
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
}

/** File descriptors of this process; 0 where the system does not tell. */
async function openFiles(): Promise<number> {
  try {
    let count = 0;
    for await (const _ of Deno.readDir("/proc/self/fd")) count++;
    return count;
  } catch {
    return 0; // Not Linux: the comparison then says nothing.
  }
}
