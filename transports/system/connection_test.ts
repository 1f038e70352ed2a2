import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { SystemConnection } from "./connection.ts";
import { descriptorBound, lowestFree } from "./descriptor.ts";
import { libc } from "./libc.ts";

const test = suite("connections by descriptor");

interface Pair extends Disposable {
  near: Deno.TcpConn;
  far: Deno.TcpConn;
}

async function pair(hostname = "127.0.0.1"): Promise<Pair> {
  using listener = Deno.listen({ hostname, port: 0 });
  const [near, far] = await Promise.all([
    Deno.connect({
      hostname: hostname === "::" ? "127.0.0.1" : hostname,
      port: listener.addr.port,
    }),
    listener.accept(),
  ]);
  const close = (conn: Deno.TcpConn) => {
    try {
      conn.close();
    } catch {
      // The test has closed it.
    }
  };
  return { near, far, [Symbol.dispose]: () => [near, far].forEach(close) };
}

/** What the peer of a connection reads next: a byte, its end, or why there is none. */
async function seen(conn: Deno.TcpConn): Promise<string> {
  const byte = new Uint8Array(1);
  const outcome = conn.read(byte).then((count) => count === null ? "end" : "byte", String);
  return await bounded("the peer", outcome);
}

if (libc()) {
  for (const hostname of ["127.0.0.1", "::1", "::"]) {
    for (const side of ["near", "far"] as const) {
      test(`it is found among others, ${side} side of ${hostname}`, async () => {
        if (hostname !== "127.0.0.1" && !hasIpv6()) return;
        using before = await pair(hostname);
        using wanted = await pair(hostname);
        using after = await pair(hostname);
        const other = side === "near" ? "far" : "near";
        assert.ok(SystemConnection.of(wanted[side])!.reset());
        assert.match(await seen(wanted[other]), /reset by peer/);
        for (const { near, far } of [before, after]) {
          await near.write(new Uint8Array(1));
          assert.is(await seen(far), "byte");
        }
      });
    }
  }

  test("shutting down is an end behind what was written", async () => {
    using wanted = await pair();
    await wanted.near.write(new Uint8Array(1));
    assert.ok(SystemConnection.of(wanted.near)!.shutdown());
    assert.is(await seen(wanted.far), "byte");
    assert.is(await seen(wanted.far), "end");
    assert.is(await seen(wanted.near), "end");
  });

  test("what has been closed is not mistaken for what came in its place", async () => {
    const random = new Random(newSeed());
    const open: { pair: Pair; system: SystemConnection }[] = [];
    const closed: SystemConnection[] = [];
    for (let i = 0; i < 300; i++) {
      const made = await pair();
      const side = random.below(2) ? made.near : made.far;
      const system = SystemConnection.of(side)!;
      open.push({ pair: made, system: random.below(2) ? system.expect() : system });
      if (random.below(3) === 0) {
        const [gone] = open.splice(random.below(open.length), 1);
        if (random.below(2)) gone!.system.shutdown();
        gone!.pair[Symbol.dispose]();
        closed.push(gone!.system);
      }
    }
    for (const system of closed) assert.not.ok(system.reset());
    for (const { pair: { near, far } } of open) {
      await near.write(new Uint8Array(1));
      assert.is(await seen(far), "byte");
    }
    for (const { system } of open) assert.ok(system.reset());
    for (const { pair } of open) pair[Symbol.dispose]();
  });

  test("a peer that was quicker leaves nothing to end", async () => {
    using wanted = await pair();
    SystemConnection.of(wanted.far)!.reset();
    wanted.far.close();
    assert.match(await seen(wanted.near), /reset by peer/);
    const system = SystemConnection.of(wanted.near)!.expect();
    assert.not.ok(system.reset());
    assert.not.ok(system.shutdown());
  });

  test("among many whose peers were quicker, one that is silent is found", async () => {
    const random = new Random(newSeed());
    for (let i = 0; i < 100; i++) {
      const crowd: { pair: Pair; system: SystemConnection }[] = [];
      for (let j = random.below(12); j > 0; j--) {
        const made = await pair();
        SystemConnection.of(made.far)!.reset();
        made.far.close();
        crowd.push({ pair: made, system: SystemConnection.of(made.near)!.expect() });
      }
      using silent = await pair();
      const system = SystemConnection.of(silent.near)!.expect();
      for (const { pair, system } of crowd.slice(random.below(crowd.length + 1))) {
        assert.not.ok(system.shutdown());
        pair[Symbol.dispose]();
      }
      assert.ok(system.shutdown());
      assert.is(await seen(silent.far), "end");
      for (const { pair } of crowd) pair[Symbol.dispose]();
    }
  });

  test("no descriptor in use lies beyond the bound", () => {
    const files = Array.from({ length: 300 }, () => Deno.openSync("/dev/null"));
    const bound = descriptorBound(libc()!);
    assert.ok(bound >= lowestFree(libc()!)! && bound >= 300, `${bound}`);
    for (const file of files) file.close();
  });
}

function hasIpv6(): boolean {
  return Deno.networkInterfaces().some(({ address }) => address === "::1");
}

test.run();
