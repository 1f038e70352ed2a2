/** A relay and a service that may open few files say so, and go on once they can. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "./bounded.ts";
import { type RunOptions, tempDir, tunnel } from "./processes.ts";

const test = suite("shortages, end to end");

/** More than the program itself opens. */
const FILES = 100;

test("who may open no more files says what to do, and takes connections again when there is room", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path, TUNNEL_TRANSPORT: "websocket" };
  const few: RunOptions = {
    env,
    within: (command) => ["sh", "-c", `ulimit -n ${FILES}; exec "$@"`, "sh", ...command],
  };
  using target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String(target.addr.port);
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], few);
  const relayPort = Number(await relay.line(/^relay ready .*:(\d+)/m));
  await using device = tunnel(["device", "--id", "x", "--allow", port], { env });
  await device.line(/^device x online/m);
  await using service = tunnel(["connect", "x", port], few);
  const local = Number(await service.line(/^listening \S+:(\d+) -> /m));
  for (const [program, taken] of [[relay, relayPort], [service, local]] as const) {
    const clients = await Promise.all(
      Array.from({ length: FILES }, () => Deno.connect({ hostname: "127.0.0.1", port: taken })),
    );
    await program.line(/connections cannot be accepted .*no more files.*LimitNOFILE/m, "stderr");
    for (const client of clients) client.close();
  }
  // Each of those that the service has taken was a connection of the target's.
  using client = await Deno.connect({ hostname: "127.0.0.1", port: local });
  await client.write(Uint8Array.of(7));
  const hears = (async () => {
    for await (const conn of target) {
      const byte = new Uint8Array(1);
      const count = await conn.read(byte).catch(() => null);
      conn.close();
      if (count === 1) return byte[0];
    }
  })();
  assert.is(await bounded("the byte", hears), 7);
});

test.run();
