import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay } from "../core/deadline.ts";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { fakeConnector, FakeSession, NEVER } from "../tests/fake_transport.ts";
import { Leftovers } from "../tests/leftovers.ts";

const RELAY = new URL("tunnel://relay.example:8443");
const MINUTE = 60_000;
/** Milliseconds since 1970. */
const START = Date.UTC(2026, 0, 1);

type Fakes = ReturnType<typeof fakeConnector>;
type Name = "quic" | "websocket";

const test = suite("Connector: the choice");

for (const name of ["quic", "websocket"] as const) {
  test(`${name} has won: it alone is dialled within the head start of the next time`, async () => {
    const { fakes } = remembering();
    await connect(fakes, name);
    await connectAtOnce(fakes, name);
  });
}

test("what has won is remembered for its relay alone", async () => {
  const { fakes, memory } = remembering();
  await connect(fakes, "websocket");
  assert.equal([...memory], [["relay.example:8443", { transport: "websocket", at: START }]]);
  await connectAtOnce(fakes, "quic", new URL("tunnel://relay.example:9443"));
});

test("a transport that was the only one has won nothing", async () => {
  const memory = new Map<string, { transport: string; at: number }>();
  const { websocket, connector } = fakeConnector({ memory, only: "websocket" });
  const connecting = connector.connect(RELAY);
  (await websocket.dial()).succeed();
  await bounded("the session", connecting);
  assert.is(memory.size, 0);
});

test("a remembered transport that fails makes way at once, and is forgotten", async () => {
  const { fakes, memory } = remembering();
  await connect(fakes, "websocket");
  const [quics, websockets] = [fakes.quic.dials.length, fakes.websocket.dials.length];
  const connecting = fakes.connector.connect(RELAY);
  (await fakes.websocket.dial(websockets)).fail("connection refused");
  (await fakes.quic.dial(quics)).succeed();
  await bounded("the session", connecting);
  assert.is(memory.get(RELAY.host)?.transport, "quic");
  await connectAtOnce(fakes, "quic");
});

test("a win is remembered for half an hour, however often it is used meanwhile", async () => {
  const { fakes, clock } = remembering();
  await connect(fakes, "websocket");
  clock.now += 20 * MINUTE;
  await connectAtOnce(fakes, "websocket");
  clock.now += 10 * MINUTE - 1;
  await connectAtOnce(fakes, "websocket");
  clock.now += 1;
  await connect(fakes, "websocket");
  await connectAtOnce(fakes, "websocket");
});

test("a win of the future, before the clock was set back, counts for nothing", async () => {
  const { fakes, clock } = remembering();
  await connect(fakes, "websocket");
  clock.now -= 1;
  await connectAtOnce(fakes, "quic");
});

const PROXY = new URL("http://user:secret@proxy.example:3128");
const byName = (proxy: string, except = "") => (name: string) =>
  ({ HTTPS_PROXY: proxy, NO_PROXY: except })[name];

for (
  const [where, options] of [
    ["given", { proxy: PROXY }],
    ["of the environment", { env: byName(PROXY.href) }],
  ] as const
) {
  test(`by a proxy ${where} only WebSocket is dialled, though QUIC had won`, async () => {
    const { quic, websocket, connector } = fakeConnector({
      headStart: 0,
      memory: new Map([[RELAY.host, { transport: "quic", at: START }]]),
      now: () => START,
      ...options,
    });
    const connecting = connector.connect(RELAY);
    const dial = await websocket.dial();
    assert.is(dial.options.proxy?.href, PROXY.href);
    dial.succeed();
    await bounded("the session", connecting);
    assert.is(await connector.improve(RELAY, "websocket"), undefined);
    assert.is(quic.dials.length, 0);
  });

  test(`QUIC cannot be forced through a proxy ${where}`, async () => {
    const { quic, websocket, connector } = fakeConnector({ only: "quic", ...options });
    const error = await failureOf(connector.connect(RELAY));
    assert.is(error.code, "usage");
    assert.match(error.message, "quic cannot pass the HTTP proxy proxy.example:3128");
    assert.match(error.parts.remedy!, "env" in options ? "NO_PROXY" : "no --proxy");
    assert.not.match(error.message, "secret");
    assert.equal([quic.dials.length, websocket.dials.length], [0, 0]);
  });
}

test("a relay in NO_PROXY is dialled by QUIC, without the proxy", async () => {
  const { quic, connector } = fakeConnector({ env: byName(PROXY.href, "relay.example") });
  const connecting = connector.connect(RELAY);
  const dial = await quic.dial();
  assert.is(dial.options.proxy, undefined);
  dial.succeed();
  await bounded("the session", connecting);
});

test("remake dials the same transport again, for the session in whose place it is", async () => {
  for (const transport of ["quic", "websocket"] as const) {
    const fakes = fakeConnector();
    const outgrown = new FakeSession(transport);
    const remaking = fakes.connector.remake(RELAY, outgrown);
    const dial = await fakes[transport].dial();
    assert.is(dial.options.replaces, outgrown);
    const session = dial.succeed();
    assert.is(await bounded("the session", remaking), session);
    assert.is(fakes.quic.dials.length + fakes.websocket.dials.length, 1);
  }
});

test("a relay that has no place is not asked by the next transport", async () => {
  using left = new Leftovers();
  const { quic, websocket, connector } = fakeConnector({ headStart: 0 });
  const connecting = failureOf(connector.connect(RELAY));
  (await quic.dial()).fail("the relay takes no more connections now", "limit");
  const error = await bounded("the error", connecting);
  assert.is(error.code, "limit");
  assert.match(error.message, /takes no more connections/);
  assert.is(websocket.dials.length, 0);
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("what carried a session until just now has a longer head start, for half a minute", async () => {
  const clock = { now: START };
  const { quic, websocket, connector } = fakeConnector({
    ...{ headStart: 0, familiarStart: NEVER },
    now: () => clock.now,
  });
  const session = async () => {
    const index = quic.dials.length;
    const connecting = connector.connect(RELAY);
    (await quic.dial(index)).succeed();
    return await bounded("the session", connecting);
  };
  const first = await session();
  first.close();
  await first.closed;
  await delay(0);
  clock.now += 29_999;
  const connecting = connector.connect(RELAY);
  const dial = await quic.dial(1);
  await delay(1); // A head start of no length would have ended before this timer.
  assert.is(websocket.dials.length, 0);
  dial.succeed();
  const second = await bounded("the session", connecting);
  second.close();
  await second.closed;
  await delay(0);
  clock.now += 30_000;
  const late = connector.connect(RELAY);
  (await websocket.dial()).succeed();
  assert.is((await bounded("the session", late)).transport, "websocket");
});

test("improve has nothing better than QUIC, nor than a transport that is forced", async () => {
  for (const [only, current] of [[undefined, "quic"], ["websocket", "websocket"]] as const) {
    const { quic, websocket, connector } = fakeConnector({ only, headStart: 0 });
    assert.is(await connector.improve(RELAY, current), undefined);
    assert.equal([quic.dials.length, websocket.dials.length], [0, 0]);
  }
});

test("improve brings QUIC in the place of WebSocket, and remembers it", async () => {
  using left = new Leftovers();
  const { fakes, memory } = remembering();
  await connect(fakes, "websocket");
  const improving = fakes.connector.improve(RELAY, "websocket");
  const session = (await fakes.quic.dial(1)).succeed();
  assert.is(await bounded("the session", improving), session);
  assert.is(memory.get(RELAY.host)?.transport, "quic");
  assert.is(fakes.websocket.dials.length, 1);
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("improve rejects with what QUIC met, and WebSocket stays remembered", async () => {
  using left = new Leftovers();
  const { fakes, memory } = remembering();
  await connect(fakes, "websocket");
  const improving = failureOf(fakes.connector.improve(RELAY, "websocket"));
  (await fakes.quic.dial(1)).fail("UDP is blocked");
  assert.is((await bounded("the error", improving)).parts.state, "UDP is blocked");
  assert.is(memory.get(RELAY.host)?.transport, "websocket");
  assert.is(fakes.websocket.dials.length, 1);
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("improve that is cancelled gives its dial up", async () => {
  using left = new Leftovers();
  const { quic, connector } = fakeConnector();
  const caller = new AbortController();
  const improving = failureOf(connector.improve(RELAY, "websocket", caller.signal));
  const dial = await quic.dial();
  caller.abort();
  assert.is((await bounded("the error", improving)).code, "aborted");
  assert.is(dial.signal.aborted, true);
  await bounded("the end of the late session", dial.succeed().closed);
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test.run();

/** Fakes with a memory, and a clock that the test moves. */
function remembering() {
  const clock = { now: START };
  const memory = new Map<string, { transport: string; at: number }>();
  return { clock, memory, fakes: fakeConnector({ memory, now: () => clock.now }) };
}

/** Connects with QUIC first; when it is not to win, it fails. */
async function connect({ quic, websocket, connector }: Fakes, winner: Name): Promise<void> {
  const [quics, websockets] = [quic.dials.length, websocket.dials.length];
  const connecting = connector.connect(RELAY);
  const dial = await quic.dial(quics);
  if (winner === "quic") {
    dial.succeed();
  } else {
    dial.fail("UDP is blocked");
    (await websocket.dial(websockets)).succeed();
  }
  assert.is((await bounded("the session", connecting)).transport, winner);
}

/** Connects by a transport that is dialled first; no other is dialled. */
async function connectAtOnce(fakes: Fakes, name: Name, url = RELAY): Promise<void> {
  const all = () => fakes.quic.dials.length + fakes.websocket.dials.length;
  const [before, index] = [all(), fakes[name].dials.length];
  const connecting = fakes.connector.connect(url);
  const dial = await fakes[name].dial(index);
  await delay(0); // A head start of no length would have ended before this timer.
  dial.succeed();
  await bounded("the session", connecting);
  assert.is(all() - before, 1);
}
