/** The console over the relay's own port, without a browser. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tempDir, tunnel } from "./processes.ts";

const test = suite("console, served");

test("a relay serves it beside its tunnels, and with --no-console it does not", async () => {
  for (const [options, status] of [[[], 200], [["--no-console"], 404]] as const) {
    await using dir = await tempDir();
    const env = { TUNNEL_HOME: dir.path };
    await using relay = tunnel(["relay", "--listen", "127.0.0.1:0", ...options], { env });
    const host = await relay.line(/^relay ready tunnel:\/\/(\S+)/m);
    const { root } = JSON.parse(await Deno.readTextFile(`${dir.path}/relay/endpoint.json`));
    using client = Deno.createHttpClient({ caCerts: [root] });
    const page = await fetch(`https://${host}/`, { client });
    const text = await page.text();
    assert.is(page.status, status, text);
    const known = await fetch(`https://${host}/.well-known/tunnel`, { client });
    assert.is(known.status, 200);
    await known.body?.cancel();
    if (status !== 200) continue;
    assert.match(page.headers.get("content-security-policy")!, new RegExp(`wss://${host};`));
    const [, script] = /src="(\/[\w-]+\.js)"/.exec(text)!;
    const answer = await fetch(`https://${host}${script}`, { client });
    assert.is(answer.headers.get("content-type"), "text/javascript; charset=utf-8");
    assert.ok((await answer.text()).length > 10_000);
    assert.is((await fetch(`https://${host}/${"x".repeat(100)}`, { client })).status, 404);
  }
});

test.run();
