import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { newSeed, Random } from "../tests/random.ts";
import { type Field, lacking, NAMES, PEERS, startField } from "./contenders.ts";
import { family, isRunning } from "./family.ts";
import { encodeOrder, Order, readFull, startTarget, writeAll } from "./target.ts";

const test = suite("contenders");
const MIB = 1024 * 1024;
const random = new Random(newSeed());

for (const name of NAMES) {
  const title = `${name} carries an echo and 8 MiB there and back, and leaves nothing running`;
  const why = lacking(name);
  if (why !== undefined) {
    // Even in a strict run: a tool to compare with is no part of what is tested.
    console.log(`skipped: ${title} (${why})`);
    test.skip(title);
    continue;
  }
  test(title, async () => {
    using target = startTarget();
    await using field = await startField([name], target.port);
    assert.equal([...field.failures], []);
    const [contender] = field.contenders;
    await echo(contender!.port, new Uint8Array([42]));
    await echo(contender!.port, random.bytes(8 * MIB));
    assert.is(contender!.version !== undefined, PEERS.includes(name), contender!.version);
    const running = familyOf(field);
    assert.ok(running.every(isRunning), "a process ended early");
    assert.ok(name === "direct" || running.length >= 2, `${running.length} processes`);
    await field[Symbol.asyncDispose]();
    assert.equal(running.filter(isRunning), []);
  });
}

test("a contender that is lacking is absent by name and keeps no other", async () => {
  const name = "frp tcp";
  const before = { PATH: Deno.env.get("PATH")!, PEERS_BIN: Deno.env.get("PEERS_BIN") };
  Deno.env.set("PATH", "/nowhere");
  Deno.env.set("PEERS_BIN", "/nowhere");
  try {
    using target = startTarget();
    await using field = await startField([name, "direct"], target.port);
    assert.equal([...field.failures], []);
    assert.equal([...field.absent], [
      [name, "frps, frpc not installed: run bench/peers/install.sh"],
    ]);
    assert.equal(field.contenders.map(({ name }) => name), ["direct"]);
  } finally {
    Deno.env.set("PATH", before.PATH);
    if (before.PEERS_BIN === undefined) Deno.env.delete("PEERS_BIN");
    else Deno.env.set("PEERS_BIN", before.PEERS_BIN);
  }
});

/** Sends the bytes and compares what comes back, while they are still being sent. */
async function echo(port: number, sent: Uint8Array): Promise<void> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const got = new Uint8Array(sent.length);
  const send = async () => {
    await writeAll(conn, encodeOrder(Order.echo));
    await writeAll(conn, sent);
  };
  await bounded(`echo ${sent.length} bytes`, Promise.all([send(), readFull(conn, got)]));
  assert.is(await checksum(got), await checksum(sent));
}

async function checksum(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return new Uint8Array(digest).toHex();
}

function familyOf({ contenders }: Field): number[] {
  return contenders.flatMap(({ processes }) => processes.flatMap(({ pid }) => family(pid)));
}

test.run();
