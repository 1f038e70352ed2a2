import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay, withDeadline } from "../../core/deadline.ts";
import { testGround } from "../../tests/network_fixture.ts";
import { descriptorBound } from "../system/descriptor.ts";
import { endOf, libc } from "../system/libc.ts";
import { denoSockets } from "./sockets_deno.ts";

const test = suite("Deno's sockets");
const system = libc();

if (system) {
  test("a connection whose peer reads nothing is gone once it is closed", async () => {
    const { cert, key, root } = await testGround();
    using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
    const { port } = listener.addr as Deno.NetAddr;
    const accepting = listener.accept();
    const tcp = await denoSockets.connect("127.0.0.1", port);
    const secure = denoSockets.encrypt(tcp, { hostname: "127.0.0.1", caCerts: [root] });
    using peer = await accepting;
    const [conn] = await Promise.all([secure, peer.handshake()]);
    let written = 0;
    const writing = (async () => {
      for (;;) written += await conn.write(new Uint8Array(65_536));
    })().catch(() => "over");
    for (let before = -1; before !== written; await delay(100)) before = written;
    const isThere = () =>
      Array.from({ length: descriptorBound(system) }, (_, fd) => fd)
        .some((fd) => endOf(system, fd, "getpeername")?.port === port);
    assert.ok(isThere());
    conn.close();
    conn.close();
    await withDeadline({ action: "end a connection", timeout: 5_000 }, async () => {
      assert.is(await writing, "over");
      // The runtime says nothing of it.
      while (isThere()) await delay(10);
    });
  });
}

test.run();
