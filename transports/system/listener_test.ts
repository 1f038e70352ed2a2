import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { descriptorBound } from "./descriptor.ts";
import { endOf, IPPROTO_TCP, libc, readOption, TCP_NODELAY } from "./libc.ts";
import { accepted, listenPromptly, succeed } from "./listener.ts";

const test = suite("listeners by descriptor");
const system = libc();
const open = (port = 0, reusePort = false) => () =>
  Deno.listen({ hostname: "127.0.0.1", port, reusePort });
const connect = ({ port }: { port: number }) => Deno.connect({ hostname: "127.0.0.1", port });

if (system) {
  test("what is accepted sends small writes at once", async () => {
    const { socket, isPrompt } = listenPromptly(open());
    assert.ok(isPrompt);
    using client = await connect(socket.addr);
    using conn = await bounded("the connection", socket.accept());
    const { port } = client.localAddr as Deno.NetAddr;
    const options = descriptors().filter((fd) => endOf(system, fd, "getpeername")?.port === port)
      .map((fd) => readOption(system, fd, IPPROTO_TCP, TCP_NODELAY));
    assert.equal(options, [1], `of ${JSON.stringify(conn.remoteAddr)}`);
    socket.close();
  });

  test("a listener's successor takes what comes from then on", async () => {
    const before = listenPromptly(open());
    const { port } = before.socket.addr;
    const waiting = before.socket.accept().catch(() => "over");
    const next = succeed(before, () => listenPromptly(open(port, true)));
    before.socket.close();
    assert.is(await bounded("the one before", waiting), "over");
    for (let i = 0; i < 50; i++) {
      using client = await connect({ port });
      using conn = await bounded("the connection", next.socket.accept());
      assert.equal(conn.remoteAddr, client.localAddr);
    }
    next.socket.close();
  });

  test("where a successor cannot be had the listener goes on", async () => {
    const { socket, fd, isPrompt } = listenPromptly(open());
    const fail = () => {
      throw new Error("no");
    };
    assert.throws(() => succeed({ socket, fd, isPrompt }, fail), /no/);
    using _client = await connect(socket.addr);
    using _conn = await bounded("the connection", socket.accept());
    socket.close();
  });
}

test("a failure to listen is the caller's", () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assert.throws(
    () => listenPromptly(open(port)),
    (cause: unknown) => cause instanceof Deno.errors.AddrInUse,
  );
});

test("accepting goes on after failures that pass, and on whatever listener there is", async () => {
  const stop = new AbortController();
  const failing = { accept: () => Promise.reject<number>(new Error("no descriptor is left")) };
  const given: (() => Promise<number>)[] = [
    () => Promise.resolve(1),
    failing.accept,
    () => (current = { accept: () => Promise.resolve(3) }, failing.accept()),
  ];
  let current = { accept: () => given.shift()!() };
  const got: number[] = [];
  const failures: unknown[] = [];
  const failed = (cause: unknown) => failures.push((cause as Error).message);
  await bounded(
    "the connections",
    (async () => {
      for await (const conn of accepted(() => current, stop.signal, failed)) {
        got.push(conn);
        if (conn === 3) stop.abort();
      }
    })(),
  );
  assert.equal(got, [1, 3]);
  // The second was that of a listener which had been replaced.
  assert.equal(failures, ["no descriptor is left"]);
});

function descriptors(): number[] {
  return Array.from({ length: descriptorBound(system!) }, (_, fd) => fd);
}

test.run();
