/** A connection that one end resets is reset at the other, and is no end of what it carried. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../core/errors.ts";
import { SystemConnection } from "../transports/system/connection.ts";
import { libc } from "../transports/system/libc.ts";
import { connectTcp } from "../transports/tcp/tcp.ts";
import { bounded } from "./bounded.ts";
import { type Running, tempDir, tunnel } from "./processes.ts";
import { freePort } from "./ssh_server.ts";

const test = suite("reset");

/** Enough, one soon after another, that the last share a channel. */
const TIMES = 12;
const over = new TunnelError("reset", { action: "test", state: "over" });
const never = new AbortController().signal;

interface Ground extends AsyncDisposable {
  /** Where connections to the target begin. */
  readonly port: number;
  readonly target: Deno.TcpListener;
  /** Where connections to a port begin on which nothing listens. */
  readonly nowhere: number;
}

async function ground(): Promise<Ground> {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const env = { TUNNEL_HOME: path };
  const target = stack.use(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const [there, nowhere] = [target.addr.port, freePort()];
  const start = (...args: string[]): Running => stack.use(tunnel(args, { env }));
  await start("relay", "--listen", "127.0.0.1:0").line(/^relay ready /m);
  const allowed = ["--allow", String(there), "--allow", String(nowhere)];
  await start("device", "--id", "x", ...allowed).line(/^device x online /m);
  const listening = async (port: number) =>
    Number(await start("connect", "x", String(port)).line(/^listening 127\.0\.0\.1:(\d+) /m));
  const [port, none] = [await listening(there), await listening(nowhere)];
  return {
    port,
    target,
    nowhere: none,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** How a connection goes on: bytes, an end, or the system's word. */
async function outcome(conn: Pick<Deno.Conn, "read">): Promise<string> {
  const buffer = new Uint8Array(16);
  const read = conn.read(buffer).then((count) => count === null ? "end" : "bytes", String);
  return await bounded("what comes", read);
}

test("the operator's program resets: the target sees it, and no end", async () => {
  await using through = await ground();
  for (let i = 0; i < TIMES; i++) {
    const accepting = through.target.accept();
    const near = await connectTcp({ hostname: "127.0.0.1", port: through.port }, never);
    await near.write(new Uint8Array(1));
    using far = await bounded("the target's connection", accepting);
    assert.is(await outcome(far), "bytes");
    near.reset(over);
    assert.match(await outcome(far), /reset by peer/, `connection ${i}`);
  }
});

// Elsewhere nothing here can send one as the target.
(libc() ? test : test.skip)(
  "the target resets: the operator's program sees it, and no end",
  async () => {
    await using through = await ground();
    for (let i = 0; i < TIMES; i++) {
      const accepting = through.target.accept();
      using near = await Deno.connect({ hostname: "127.0.0.1", port: through.port });
      await near.write(new Uint8Array(1));
      const far = await bounded("the target's connection", accepting);
      await far.write(new Uint8Array(1));
      assert.is(await outcome(near), "bytes");
      assert.ok(SystemConnection.of(far)!.reset());
      far.close();
      assert.match(await outcome(near), /reset by peer/, `connection ${i}`);
    }
  },
);

test("nothing listens at the target: the operator's program is told by a reset", async () => {
  await using through = await ground();
  for (let i = 0; i < TIMES; i++) {
    using near = await Deno.connect({ hostname: "127.0.0.1", port: through.nowhere });
    await near.write(new Uint8Array(1));
    assert.match(await outcome(near), /reset by peer/, `connection ${i}`);
  }
});

test.run();
