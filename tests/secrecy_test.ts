/** What passes a relay is not to be found in it: the memory of real processes is searched. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeOrder, Order, readFull, startTarget, writeAll } from "../bench/target.ts";
import { findInMemory } from "./memory_search.ts";
import { tempDir, tunnel } from "./processes.ts";

/** How often the marker goes there and back. */
const TIMES = 20_000;

const test = suite("secrecy");

for (const transport of ["quic", "websocket"]) {
  const name = `a relay's memory has nothing of what it carried (${transport})`;
  // The memory of another process is a file on Linux alone.
  if (Deno.build.os !== "linux") {
    console.log(`skipped: ${name} (needs Linux)`);
    test.skip(name);
    continue;
  }
  test(name, async () => {
    await using dir = await tempDir();
    using target = startTarget();
    const port = String(target.port);
    const env = { TUNNEL_HOME: dir.path, TUNNEL_TRANSPORT: transport };
    await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
    await relay.line(/^relay ready/m);
    await using device = tunnel(["device", "--id", "x", "--allow", port], { env });
    await device.line(/^device x online/m);
    await using service = tunnel(["connect", "x", port], { env });
    const local = Number(await service.line(/^listening \S+:(\d+)/m));
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: local });
    await writeAll(conn, encodeOrder(Order.echo));
    const marker = crypto.getRandomValues(new Uint8Array(64));
    const answer = new Uint8Array(marker.length);
    const back = async () => {
      for (let i = 0; i < TIMES; i++) await readFull(conn, answer);
    };
    const there = async () => {
      for (let i = 0; i < TIMES; i++) await writeAll(conn, marker);
    };
    await Promise.all([there(), back()]);
    assert.equal(answer, marker);
    // Half of it is enough, so that one that was cut by a record's end counts too.
    const wanted = marker.subarray(0, 32);
    assert.is(await findInMemory(relay.pid, wanted), 0);
    // What proves that the search finds something where there is something.
    assert.ok(await findInMemory(service.pid, wanted) > 0, "the search is blind");
    assert.ok(await findInMemory(device.pid, wanted) > 0, "the search is blind");
  });
}

test.run();
