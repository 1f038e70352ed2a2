/** `tunnel bench` as people run it: processes of their own, a relay and a device. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "./bounded.ts";
import { tempDir, tunnel } from "./processes.ts";

const test = suite("tunnel bench");

for (const transport of ["quic", "websocket"]) {
  test(`over ${transport}: figures on stdout, what is being measured on stderr`, async () => {
    await using ground = await start("--allow", "bench");
    const args = ["bench", "x", "--seconds", "1", "--transport", transport];
    const { code, stdout, stderr } = await run([...args, "--json"], ground.env);
    assert.is(code, 0, stderr);
    const result = JSON.parse(stdout);
    assert.equal([result.device, result.transport, result.relay], ["x", transport, ground.relay]);
    for (const name of ["down", "up"]) assert.ok(result[name] > 0, `${name}: ${result[name]}`);
    for (const name of ["open", "roundTrip", "roundTripDown", "roundTripUp"]) {
      const { p50, p99, samples } = result[name];
      assert.ok(p50 > 0 && p99 >= p50 && samples > 0, `${name}: ${p50}, ${p99} of ${samples}`);
    }
    assert.is(stderr.match(/^x: /gm)?.length, 6, stderr);
  });
}

test("without --json it is a table that says by what and through which relay", async () => {
  await using ground = await start("--allow", "bench");
  const { code, stdout, stderr } = await run(["bench", "x", "--seconds", "1"], ground.env);
  assert.is(code, 0, stderr);
  const [head, ...rows] = stdout.trimEnd().split("\n");
  assert.is(head, `x via quic, through ${ground.relay}`);
  assert.match(rows[0]!, /^throughput from the device +[\d.]+ Mbit\/s$/);
  assert.match(rows[2]!, /^round trip, idle +[\d.]+ ms +p99 [\d.]+ ms +of \d+$/);
  assert.is(rows.length, 6);
});

test("a device offers it only when it is told to", async () => {
  await using ground = await start("--allow", "22");
  const { code, stdout, stderr } = await run(["bench", "x"], ground.env);
  assert.is(code, 6, stderr);
  assert.match(stderr, /the device does not allow bench; start it with --allow bench\n$/);
  assert.is(stdout, "");
});

test("what may be reached, and what was, name it bench", async () => {
  await using ground = await start("--allow", "bench");
  const { env } = ground;
  const invited = await run(["invite", "operator", "anna", "--grant", "x:22"], env);
  const anna = { TUNNEL_HOME: `${ground.path}/anna`, TUNNEL_JOIN: invited.stdout.trim() };
  const refused = await run(["bench", "x", "--seconds", "1"], anna);
  assert.is(refused.code, 3, refused.stderr);
  assert.match(refused.stderr, /tunnel grant anna 'x:bench'/);
  const granted = await run(["grant", "anna", "x:bench"], env);
  assert.match(granted.stdout, /^\S+ x:bench\n$/);
  const { code, stderr } = await run(["bench", "x", "--seconds", "1"], anna);
  assert.is(code, 0, stderr);
  const audit = await run(["audit", "--operator", "anna"], env);
  assert.match(audit.stdout, /x:bench/);
});

test.run();

async function start(...allow: string[]) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const env = { TUNNEL_HOME: `${path}/relay` };
  const process = stack.use(tunnel(["relay", "--listen", "127.0.0.1:0"], { env }));
  const relay = await process.line(/^relay ready (\S+)/m);
  const device = stack.use(tunnel(["device", "--id", "x", ...allow], { env }));
  await device.line(/^device x online/m);
  return { path, env, relay, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function run(args: string[], env: Record<string, string>) {
  await using process = tunnel(args, { env, stdin: "" });
  return await bounded(`tunnel ${args.join(" ")}`, process.outcome());
}
