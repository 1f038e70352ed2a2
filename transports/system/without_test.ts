/** Where the C library may not be called, transports work as they do with it. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";

const test = suite("without the C library");

for (
  const file of [
    "../tcp/tcp_test.ts",
    "../websocket/transport_test.ts",
    "../websocket/listener_test.ts",
    "../websocket/tls_server_test.ts",
  ]
) {
  test(`${file} passes`, async () => {
    await using program = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--deny-ffi", "--v8-flags=--expose-gc", import.meta.resolve(file)],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { code, stdout, stderr } = await bounded("the tests", program.output());
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.is(code, 0, said);
    assert.match(said, /Passed: +[1-9]/);
  });
}

test.run();
