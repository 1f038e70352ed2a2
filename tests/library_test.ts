/** The library in Deno beside the program: one relay, one home. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, fileStore, httpHandler, memoryStore, serve } from "../mod.ts";
import { bounded } from "./bounded.ts";
import { Echo, echoServer } from "./echo.ts";
import { failureOf } from "./failure.ts";
import { runToEnd, tempDir, tunnel, tunnelCommand } from "./processes.ts";

const test = suite("library and program");

for (const transport of ["quic", "websocket"]) {
  test(`a device of the library is reached by the program, and the other way round (${transport})`, async () => {
    await using dir = await tempDir();
    await using local = echoServer();
    const env = { TUNNEL_HOME: dir.path, TUNNEL_TRANSPORT: transport };
    await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
    await relay.line(/^relay ready/m);

    const join = await invite(env, "device", "lib");
    const page = httpHandler(({ url }) => new Response(url));
    const device = await serve({
      ...{ id: "lib", store: fileStore(`${dir.path}/away`), join, transport },
      allow: [Number(local.port)],
      accept: ({ target }) => target.port === 80 ? page : undefined,
    });
    assert.is(device.transport, transport);
    await using service = tunnel(["connect", "lib", local.port], { env });
    await using echo = await Echo.open(Number(await service.line(/^listening \S+:(\d+)/m)));
    await echo.works();
    await using web = tunnel(["connect", "lib", "80"], { env });
    const port = await web.line(/^listening \S+:(\d+)/m);
    const url = `http://127.0.0.1:${port}/a`;
    assert.is(await (await fetch(url, { headers: { connection: "close" } })).text(), url);

    await using x = tunnel(["device", "--id", "x", "--allow", local.port], { env });
    await x.line(/^device x online/m);
    // The operator of this home, as the program has made it.
    const fleet = await connect({ store: fileStore(dir.path), transport });
    assert.is(fleet.transport, transport);
    const stream = await fleet.dial("x", Number(local.port));
    const writer = stream.writable.getWriter();
    await writer.write(new TextEncoder().encode("hello"));
    await writer.close();
    assert.is(await bounded("the echo", new Response(stream.readable).text()), "hello");
    await bounded("the end", stream.closed);
    const known = (await fleet.devices()).map(({ id, online }) => [id, online]);
    assert.equal(known, [["lib", true], ["x", true]]);
    assert.ok((await fleet.admin.operators()).some(({ admin }) => admin));
    await fleet.close();
    await device.close();
    await bounded("the device", device.closed);
  });
}

test("a relay that is not there is said at once; a transport that is none too", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  const relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  const join = await invite(env, "operator", "anna");
  const bad = await failureOf(connect({ store: memoryStore(), join, transport: "pigeon" }));
  assert.is(bad.code, "usage");
  await relay[Symbol.asyncDispose]();
  const error = await failureOf(bounded("connect", connect({ store: memoryStore(), join })));
  assert.is(error.code, "unreachable");
  assert.not.match(error.message, /tj1/);
});

test.run();

async function invite(env: Record<string, string>, role: string, name: string): Promise<string> {
  const { code, stdout, stderr } = await runToEnd([...tunnelCommand(), "invite", role, name], {
    env,
  });
  assert.is(code, 0, stderr);
  return stdout.trim();
}
