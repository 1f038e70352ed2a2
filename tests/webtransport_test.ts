/** WebTransport as people meet it: a relay that serves it beside QUIC, and pages that may connect. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HASHES_PATH } from "../core/identity/certificate_hashes.ts";
import { decodeJoin } from "../core/identity/join.ts";
import { wellKnownHashes } from "../transports/webtransport/well_known.ts";
import { bounded } from "./bounded.ts";
import { callPage, CHROMIUM, openPage } from "./chromium.ts";
import { Echo, echoServer } from "./echo.ts";
import { failureOf } from "./failure.ts";
import { tempDir, tunnel } from "./processes.ts";
import { testWith } from "./require.ts";
import type * as Lib from "../transports/webtransport/test_page.ts";

const test = suite("webtransport");

test("device and operator meet by it, at a relay that serves QUIC on the same port", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  await using target = echoServer();
  for (const transport of ["webtransport", "quic"]) {
    const by = { env: { ...env, TUNNEL_TRANSPORT: transport } };
    await using device = tunnel(["device", "--id", transport, "--allow", target.port], by);
    await device.line(new RegExp(`^device ${transport} online via ${transport}$`, "m"));
    await using service = tunnel(["connect", transport, target.port], by);
    const local = Number(await service.line(/^listening \S+:(\d+)/m));
    await using echo = await Echo.open(local);
    for (let i = 0; i < 100; i++) await echo.works();
  }
  relay.kill();
  assert.is((await relay.outcome()).code, 0);
});

test("the hashes of the relay's certificate are told, and its root vouches for them", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  const url = new URL(await relay.line(/^relay ready (\S+)/m));
  const root = await rootOf(env);
  using client = Deno.createHttpClient({ caCerts: [root] });
  const hashes = wellKnownHashes((url, init) => fetch(url, { ...init, client }));
  const { signal } = new AbortController();
  assert.is((await hashes(url, { roots: [root], signal })).length, 1);
  await using other = await tempDir();
  const stranger = { TUNNEL_HOME: other.path };
  await using second = tunnel(["relay", "--listen", "127.0.0.1:0"], { env: stranger });
  await second.line(/^relay ready/m);
  const wrong = hashes(url, { roots: [await rootOf(stranger)], signal });
  assert.is((await failureOf(wrong)).code, "protocol");
  const page = await fetch(`https://${url.host}${HASHES_PATH}`, { client });
  assert.is(page.headers.get("access-control-allow-origin"), "*");
  await page.text();
});

test("an origin that is none is a usage error", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  for (const text of ["example.com", "https://example.com/path", "wss://example.com", "*"]) {
    const { code, stderr } = await tunnel(["relay", "--allow-origin", text], { env }).outcome();
    assert.is(code, 2);
    assert.match(stderr, /is no origin of web pages; it is https:\/\/HOST/);
  }
});

testWith(
  test,
  [CHROMIUM],
  "pages connect from origins that are allowed, and from no other",
  async () => {
    await using dir = await tempDir();
    const env = { TUNNEL_HOME: dir.path };
    const script = new URL("../transports/webtransport/test_page.ts", import.meta.url);
    await using browser = await openPage(script);
    for (const allowed of [true, false]) {
      const origin = allowed ? browser.origin : "https://elsewhere.example";
      const args = ["relay", "--listen", "127.0.0.1:0", "--allow-origin", origin];
      await using relay = tunnel(args, { env });
      const { host } = new URL(await relay.line(/^relay ready (\S+)/m));
      const hash = await hashOf(host, env);
      const connecting = callPage<typeof Lib, "connect">(browser.page, "connect", { host, hash });
      const outcome = await bounded(
        "the page",
        connecting.then(() => "connected", () => "refused"),
      );
      assert.is(outcome, allowed ? "connected" : "refused");
      if (!allowed) await relay.line(/a request was answered with 403/, "stderr");
    }
  },
);

test.run();

async function rootOf(env: Record<string, string>): Promise<string> {
  await using invite = tunnel(["invite", "device", "x"], { env });
  return decodeJoin((await invite.outcome()).stdout).root!;
}

async function hashOf(host: string, env: Record<string, string>) {
  const root = await rootOf(env);
  using client = Deno.createHttpClient({ caCerts: [root] });
  const find = wellKnownHashes((url, init) => fetch(url, { ...init, client }));
  const { signal } = new AbortController();
  const hashes = await find(new URL(`tunnel://${host}`), { roots: [root], signal });
  return [...hashes[0]!];
}
