/** Time decides nothing here: a head start is over at once or never, and dials end when told to. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay } from "../core/deadline.ts";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { fakeConnector } from "../tests/fake_transport.ts";
import { Leftovers } from "../tests/leftovers.ts";

const RELAY = new URL("tunnel://relay.example:8443");
const test = suite("Connector: the race");

test("QUIC has a head start: when it wins, WebSocket is never dialled", async () => {
  using left = new Leftovers();
  const { quic, websocket, connector } = fakeConnector();
  const connecting = connector.connect(RELAY);
  const dial = await quic.dial();
  await delay(0); // A head start of no length would have ended before this timer.
  const session = dial.succeed();
  assert.is(await bounded("the session", connecting), session);
  assert.is(websocket.dials.length, 0);
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("a dial gets the relay, the roots and the limits", async () => {
  const caCerts = ["a root"];
  const limits = { streams: 7 };
  const { quic, connector } = fakeConnector({ caCerts, limits });
  const connecting = connector.connect(RELAY);
  const { url, options, succeed } = await quic.dial();
  assert.is(url, RELAY);
  assert.equal([options.caCerts, options.limits, options.proxy], [caCerts, limits, undefined]);
  succeed();
  await bounded("the session", connecting);
});

for (const [winner, loser] of [["websocket", "quic"], ["quic", "websocket"]] as const) {
  test(`after the head start both race: ${winner} wins, ${loser} is given up`, async () => {
    using left = new Leftovers();
    const { connector, ...transports } = fakeConnector({ headStart: 0 });
    const connecting = connector.connect(RELAY);
    const [won, lost] = [await transports[winner].dial(), await transports[loser].dial()];
    assert.is(lost.signal.aborted, false);
    const session = won.succeed();
    assert.is(await bounded("the session", connecting), session);
    assert.is(lost.signal.aborted, true);
    await bounded("the end of the late session", lost.succeed().closed);
    assert.equal([left.timers, left.listeners], [0, 0]);
  });
}

test("a loser that fails late troubles nobody", async () => {
  using left = new Leftovers();
  const { quic, websocket, connector } = fakeConnector({ headStart: 0 });
  const connecting = connector.connect(RELAY);
  const late = await websocket.dial();
  (await quic.dial()).succeed();
  await bounded("the session", connecting);
  late.fail("it was cancelled");
  await delay(0); // By then a rejection that nobody handles has ended the process.
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("when QUIC fails at once, WebSocket starts at once", async () => {
  using left = new Leftovers();
  const { quic, websocket, connector } = fakeConnector();
  const connecting = connector.connect(RELAY);
  (await quic.dial()).fail("UDP is blocked");
  const session = (await websocket.dial()).succeed();
  assert.is(await bounded("the session", connecting), session);
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("when QUIC fails, WebSocket has all the time it needs", async () => {
  const { quic, websocket, connector } = fakeConnector({ grace: 0 });
  const connecting = connector.connect(RELAY);
  (await quic.dial()).fail("UDP is blocked");
  const dial = await websocket.dial();
  await delay(0); // A timer that QUIC's failure had set would have fired before this one.
  assert.is(dial.signal.aborted, false);
  const session = dial.succeed();
  assert.is(await bounded("the session", connecting), session);
});

test("when WebSocket fails, QUIC is not waited for much longer", async () => {
  using left = new Leftovers();
  const { quic, websocket, connector } = fakeConnector({ headStart: 0, grace: 0 });
  const connecting = failureOf(connector.connect(RELAY));
  const silent = await quic.dial();
  (await websocket.dial()).fail("connection refused");
  const error = await bounded("the error", connecting);
  assert.is(error.code, "unreachable");
  assert.is(error.parts.state, "quic: no answer, websocket: connection refused");
  assert.is(silent.signal.aborted, true);
  await bounded("the end of the late session", silent.succeed().closed);
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("when both fail, the error says on one line what each met", async () => {
  using left = new Leftovers();
  const { quic, websocket, connector } = fakeConnector();
  const connecting = failureOf(connector.connect(RELAY));
  (await quic.dial()).fail("UDP is\nblocked");
  (await websocket.dial()).fail("connection refused");
  const error = await bounded("the error", connecting);
  assert.is(error.code, "unreachable");
  assert.match(
    error.message,
    /^connect relay\.example:8443: quic: UDP is blocked, websocket: connection refused; /,
  );
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("when the caller cancels, both dials are given up", async () => {
  using left = new Leftovers();
  const { quic, websocket, connector } = fakeConnector({ headStart: 0 });
  const caller = new AbortController();
  const connecting = failureOf(connector.connect(RELAY, caller.signal));
  const dials = [await quic.dial(), await websocket.dial()];
  caller.abort();
  assert.is((await bounded("the error", connecting)).code, "aborted");
  for (const { signal, succeed } of dials) {
    assert.is(signal.aborted, true);
    await bounded("the end of the late session", succeed().closed);
  }
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("when the caller cancels within the head start, WebSocket is never dialled", async () => {
  using left = new Leftovers();
  const { quic, websocket, connector } = fakeConnector();
  const caller = new AbortController();
  const connecting = failureOf(connector.connect(RELAY, caller.signal));
  const dial = await quic.dial();
  caller.abort();
  dial.fail("it was cancelled");
  assert.is((await bounded("the error", connecting)).code, "aborted");
  assert.is(websocket.dials.length, 0);
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("a caller who has cancelled already has nothing dialled", async () => {
  const { quic, websocket, connector } = fakeConnector({ headStart: 0 });
  const error = await failureOf(connector.connect(RELAY, AbortSignal.abort()));
  assert.is(error.code, "aborted");
  assert.equal([quic.dials.length, websocket.dials.length], [0, 0]);
});

test("a transport that is forced is the only one, and its error is given as it is", async () => {
  using left = new Leftovers();
  const { quic, websocket, connector } = fakeConnector({ only: "websocket", headStart: 0 });
  const connecting = failureOf(connector.connect(RELAY));
  (await websocket.dial()).fail("connection refused");
  const error = await bounded("the error", connecting);
  assert.is(error.message, "dial relay.example:8443: connection refused");
  assert.is(quic.dials.length, 0);
  assert.equal([left.timers, left.listeners], [0, 0]);
});

test("a transport that there is not is the caller's mistake", async () => {
  const { connector } = fakeConnector({ only: "pigeon" });
  const error = await failureOf(connector.connect(RELAY));
  assert.is(error.code, "usage");
  assert.match(error.message, "there is no transport pigeon; use auto, quic or websocket");
});

test.run();
