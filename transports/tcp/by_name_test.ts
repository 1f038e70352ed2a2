import { suite } from "uvu";
import * as assert from "uvu/assert";
import { checkAddress } from "../../core/allow.ts";
import type { Duplex } from "../../core/duplex.ts";
import { TunnelError } from "../../core/errors.ts";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { echoTarget } from "../../tests/fleet.ts";
import { byName } from "./by_name.ts";
import * as deno from "./deno.ts";
import { connectTcp } from "./tcp.ts";

const test = suite("tcp: by name");
const never = new AbortController().signal;
const meta = { hostname: "meta.example", port: 80 };

test("a name that leads to a forbidden address alone is refused, and nothing is connected to", async () => {
  const connected: string[] = [];
  const connect = byName(
    (ip) => (connected.push(ip), echoTarget()),
    () => Promise.resolve(["169.254.169.254", "fd00:ec2::254"]),
  );
  const permit = (ip: string) => checkAddress([{ host: "meta.example", port: 80 }], meta, ip);
  const error = await failureOf(connect(meta, never, permit));
  assert.is(error.code, "target");
  assert.match(error.message, /169\.254\.169\.254, a link-local .*--allow 169\.254\.169\.254:80/);
  assert.equal(connected, []);
});

test("of several addresses the forbidden are left out and the others tried, as they were judged", async () => {
  const answers = [["169.254.169.254", "10.0.0.1", "10.0.0.2"], ["169.254.169.254"]];
  const judged: string[] = [];
  const connected: string[] = [];
  const connect = byName(
    (ip) => {
      connected.push(ip);
      if (ip === "10.0.0.2") return echoTarget();
      return Promise.reject(new TunnelError("reset", { action: "connect", state: "refused" }));
    },
    // What a name means from its second resolution on: nobody must come to ask.
    () => Promise.resolve(answers.shift()!),
  );
  const permit = (ip: string) => {
    judged.push(ip);
    checkAddress([], meta, ip);
  };
  await bounded("the connection", connect(meta, never, permit));
  assert.equal(connected, ["10.0.0.1", "10.0.0.2"]);
  assert.equal(judged, ["169.254.169.254", "10.0.0.1", "10.0.0.2"]);
  assert.is(answers.length, 1, "the name was resolved more than once");
});

test("an address that does not answer holds up none, and is let go when it comes late", async () => {
  const slow = Promise.withResolvers<Duplex>();
  const released = Promise.withResolvers<TunnelError>();
  const connect = byName(
    (ip) => ip === "10.0.0.1" ? slow.promise : echoTarget(),
    () => Promise.resolve(["10.0.0.1", "10.0.0.2"]),
  );
  await bounded("the connection", connect(meta, never));
  slow.resolve({ ...await echoTarget(), reset: released.resolve });
  await bounded("the late one", released.promise);
});

test("an address is judged too, and is not looked up", async () => {
  const judged: string[] = [];
  const connect = byName(echoTarget, () => Promise.reject(new Error("it was looked up")));
  for (const hostname of ["10.0.0.1", "fd00::1"]) {
    await connect({ hostname, port: 80 }, never, (ip) => judged.push(ip));
  }
  assert.equal(judged, ["10.0.0.1", "fd00::1"]);
});

test("a name without an address says so", async () => {
  const connect = byName(echoTarget, () => Promise.resolve([]));
  assert.match((await failureOf(connect(meta, never))).message, /has no address/);
});

for (
  const [name, connect] of [["the one in use", connectTcp], ["deno", deno.connectTcp]] as const
) {
  test(`real names are resolved and judged before anything is connected to (${name})`, async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const address = { hostname: "localhost", port: listener.addr.port };
    const judged: string[] = [];
    const error = await failureOf(connect(address, never, (ip) => {
      judged.push(ip);
      throw new TunnelError("target", { action: "test", state: "forbidden" });
    }));
    assert.is(error.code, "target");
    assert.ok(judged.includes("127.0.0.1"), judged.join());
    const accepting = listener.accept();
    const socket = await bounded("the connection", connect(address, never));
    (await accepting).close();
    socket.reset(error);
    const nowhere = { hostname: "no-such-host.invalid", port: 80 };
    assert.match((await failureOf(connect(nowhere, never))).message, /unknown|resolve/);
  });
}

test.run();
