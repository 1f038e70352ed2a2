/** What the multiplexer does when its peer breaks the rules of mux/frame.ts. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { delay } from "../deadline.ts";
import { TunnelError } from "../errors.ts";
import { CloseCode } from "../transport.ts";
import { bounded } from "../../tests/conformance.ts";
import { newSeed, Random } from "../../tests/random.ts";
import type { Batch } from "./batch.ts";
import { Flag, FrameType } from "./frame.ts";
import { INITIAL_WINDOW } from "./receive_half.ts";
import { TestPeer } from "./test_peer.ts";

const test = suite("mux protocol");
const { open, end, blocked } = Flag;
const none = new Uint8Array(0);

/** Said by a client to a session that allows 2 streams; the first message greets. */
const VIOLATIONS: Record<string, (batch: Batch) => void> = {
  "SETTINGS twice": (b) =>
    b.settings({ streams: 1, window: 1, idleTimeout: 8_000, restTimeout: 8_000 }),
  "DATA for a stream that was not opened": (b) => b.data(1, 0, none),
  "a first stream that is not the first": (b) => b.data(3, open, none),
  "a stream with an id of the server's": (b) => b.data(2, open, none),
  "a stream opened twice": (b) => (b.data(1, open, none), b.data(1, open, none)),
  "a stream beyond the limit": (b) => [1, 3, 5].forEach((id) => b.data(id, open, none)),
  "DATA after the end": (b) => (b.data(1, open | end, none), b.data(1, 0, none)),
  "an end after the end": (b) => (b.data(1, open | end, none), b.data(1, end, none)),
  "RESET after the end": (b) => (b.data(1, open | end, none), b.control(FrameType.reset, 1, 0)),
  "DATA after RESET": (b) => {
    b.data(1, open, none);
    b.control(FrameType.reset, 1, 0);
    b.data(1, 0, none);
  },
  "CREDIT for a stream that never was": (b) => b.control(FrameType.credit, 2, 1),
  "CREDIT beyond 2^31": (b) => {
    b.data(1, open, none);
    b.control(FrameType.credit, 1, 0x7fffffff);
  },
  "STREAMS beyond 2^31": (b) => b.control(FrameType.streams, 0, 0xffffffff),
  "bytes that are no frame": (b) => b.control(0x1f, 0, 0),
};

for (const [name, fill] of Object.entries(VIOLATIONS)) {
  test(`${name} ends the session with a protocol error that the peer is told of`, async () => {
    const peer = new TestPeer({ role: "client", limits: { streams: 2 } });
    await peer.greet();
    await peer.say(fill);
    await isProtocolError(peer);
    assert.is((await bounded("CLOSE", peer.hear("closing")))?.[1], CloseCode.protocol);
    peer.end();
  });
}

test("a PONG takes no PING along, by which two idle ends would answer each other for ever", async () => {
  const peer = new TestPeer({ role: "client", limits: { keepAlive: Infinity } });
  await peer.greet();
  // As many as a session measures at its start.
  for (let i = 0; i < 16; i++) {
    const [, value] = (await bounded("a PING", peer.hear("ping")))!;
    await peer.say((batch) => batch.control(FrameType.pong, 0, value as number));
  }
  await delay(15); // From here on a PING would go along with anything that is sent.
  for (let i = 1; i <= 3; i++) {
    await peer.say((batch) => batch.control(FrameType.ping, 0, i));
    assert.equal(await bounded("a PONG", peer.hear("ping", "pong")), ["pong", i]);
  }
  peer.end();
});

test("a frame in front of SETTINGS is a protocol error", async () => {
  const peer = new TestPeer({ role: "client" });
  await peer.say((batch) => batch.control(FrameType.ping, 0, 1));
  await isProtocolError(peer);
  peer.end();
});

test("DATA beyond the credit is a protocol error", async () => {
  const peer = new TestPeer({ role: "client" });
  await peer.greet();
  await peer.say((batch) => batch.data(1, open, none));
  for (let sent = 0; sent <= INITIAL_WINDOW; sent += 32_768) {
    await peer.say((batch) => batch.data(1, 0, new Uint8Array(32_768)));
  }
  await isProtocolError(peer);
  peer.end();
});

test("STOP and CREDIT for a stream that is over are harmless", async () => {
  const peer = new TestPeer({ role: "client" });
  await peer.greet();
  await peer.say((batch) => batch.data(1, open | end, none));
  const stream = (await peer.session.incoming.next()).value!;
  assert.is((await stream.readable.getReader().read()).done, true);
  await stream.writable.close();
  await peer.say((batch) => {
    batch.control(FrameType.stop, 1, 0);
    batch.control(FrameType.credit, 1, 1);
    batch.control(FrameType.ping, 0, 42);
  });
  assert.equal(await bounded("the PONG", peer.hear("pong")), ["pong", 42]);
  peer.end();
});

test("CREDIT for a direction that is over is harmless, whatever it grants", async () => {
  const peer = new TestPeer({ role: "client" });
  await peer.greet();
  await peer.say((batch) => batch.data(1, open, none));
  // Its other direction goes on, so that the stream is not over.
  const stream = (await peer.session.incoming.next()).value!;
  await stream.writable.close();
  await peer.say((batch) => {
    batch.control(FrameType.credit, 1, 0xffffffff);
    batch.control(FrameType.ping, 0, 42);
  });
  assert.equal(await bounded("the PONG", peer.hear("pong")), ["pong", 42]);
  peer.end();
});

test("a stream is announced by its first DATA, and ids go up from the role's first", async () => {
  for (const [role, first] of [["client", 2], ["server", 1]] as const) {
    const peer = new TestPeer({ role });
    await peer.greet();
    for (const id of [first, first + 2]) {
      const stream = await peer.session.openStream();
      await stream.writable.getWriter().write(new Uint8Array([9]));
      assert.equal(await peer.hear("data"), ["data", id, open, new Uint8Array([9])]);
    }
    peer.end();
  }
});

test("the DATA that uses up the credit says so", async () => {
  const peer = new TestPeer({ role: "client" });
  await peer.greet({ streams: 1, window: 10, idleTimeout: 8_000, restTimeout: 8_000 });
  const stream = await peer.session.openStream();
  const writer = stream.writable.getWriter();
  const writing = writer.write(new Uint8Array(25)).then(() => writer.close());
  assert.equal((await peer.hear("data"))!.slice(1, 3), [2, open | blocked]);
  await peer.say((batch) => batch.control(FrameType.credit, 2, 100));
  assert.equal(await peer.hear("data"), ["data", 2, 0, new Uint8Array(15)]);
  assert.equal(await peer.hear("data"), ["data", 2, end, none]);
  await writing;
  peer.end();
});

test("the second stream ends a session's rest", async () => {
  const limits = { keepAlive: 30, idleTimeout: 100, atRest: 1_000_000 };
  const peer = new TestPeer({ role: "client", limits });
  await peer.greet({ streams: 1, window: 10, idleTimeout: 1e9, restTimeout: 1e9 });
  for (const id of [1, 3]) await peer.say((batch) => batch.data(id, Flag.open, none));
  const error = await bounded("death", peer.session.closed.catch((error) => error));
  assert.match(String(error), "no sign of the peer");
});

test("a STOP is answered by a RESET with its code", async () => {
  const peer = new TestPeer({ role: "client" });
  await peer.greet();
  const stream = await peer.session.openStream();
  await stream.writable.getWriter().write(new Uint8Array(1));
  await peer.say((batch) => batch.control(FrameType.stop, 2, 77));
  assert.equal(await bounded("the RESET", peer.hear("reset")), ["reset", 2, 77]);
  peer.end();
});

test("a cancelled stream takes what is still on its way, and grants nothing for it", async () => {
  const peer = new TestPeer({ role: "client" });
  await peer.greet();
  await peer.say((batch) => batch.data(1, open, new Uint8Array(100)));
  const stream = (await peer.session.incoming.next()).value!;
  await stream.readable.cancel();
  assert.equal(await bounded("the STOP", peer.hear("stop")), ["stop", 1, 0]);
  for (let i = 0; i < 6; i++) await peer.say((b) => b.data(1, 0, new Uint8Array(40_000)));
  await peer.say((batch) => {
    batch.control(FrameType.reset, 1, 0);
    batch.control(FrameType.ping, 0, 5);
  });
  const credit = peer.hear("credit");
  await peer.say((batch) => batch.close(0, ""));
  assert.is(await bounded("the end", credit), null);
});

test("a flood of PINGs is answered, but not one by one", async () => {
  const peer = new TestPeer({ role: "client" });
  await peer.greet();
  await peer.say((batch) => {
    for (let i = 1; i <= 5_000; i++) batch.control(FrameType.ping, 0, i);
  });
  assert.equal(await bounded("the PONG", peer.hear("pong")), ["pong", 5_000]);
  peer.end();
});

for (
  const [code, what] of [
    [CloseCode.protocol, "a rule was broken what still comes is taken up to a bound"],
    [CloseCode.limit, "a limit was met what still comes is taken up to a bound"],
    [CloseCode.done, "an orderly close what still comes is taken"],
  ] as const
) {
  test(`after ${what}`, async () => {
    const peer = new TestPeer({ role: "client" });
    await peer.greet();
    peer.session.close({ code, reason: "" });
    await bounded("the close", peer.hear("closing"));
    let taken = 0;
    const sending = (async () => {
      for (; taken < 1_024 * 1024; taken += 60_000) {
        await peer.say((batch) => batch.data(1, open, new Uint8Array(60_000)));
      }
      return "all of it";
    })().catch(() => "some");
    assert.is(await bounded("the sending", sending), code ? "some" : "all of it");
    // What the socket holds is not taken yet.
    if (code) assert.ok(taken <= (256 + 256 + 120) * 1024, `${taken} bytes were taken`);
    peer.end();
    await peer.session.closed;
  });
}

test("where small writes wait for one another, each asks for a prompt answer", async () => {
  const peer = new TestPeer({ role: "client", nagle: true });
  await peer.greet();
  const stream = await peer.session.openStream();
  const writer = stream.writable.getWriter();
  for (let i = 0; i < 3; i++) {
    await writer.write(new Uint8Array(1));
    assert.is((await peer.hear("data"))?.[1], 2);
    assert.is((await bounded("a PING", peer.hear("ping")))?.[0], "ping");
  }
  peer.end();
});

test("where small writes wait for one another, a PONG alone asks too", async () => {
  const peer = new TestPeer({ role: "client", nagle: true });
  await peer.greet();
  for (let i = 1; i <= 3; i++) {
    await peer.say((batch) => batch.control(FrameType.ping, 0, i));
    assert.equal(await bounded("a PONG", peer.hear("pong")), ["pong", i]);
    const [, value] = (await bounded("a PING", peer.hear("ping")))!;
    await peer.say((batch) => batch.control(FrameType.pong, 0, value as number));
  }
  peer.end();
});

test("a PONG to the latest of several PINGs is one to all of them", async () => {
  const peer = new TestPeer({ role: "client", nagle: true });
  await peer.greet();
  const stream = await peer.session.openStream();
  const writer = stream.writable.getWriter();
  const asked = async () => {
    await writer.write(new Uint8Array(1));
    await bounded("the data", peer.hear("data"));
    return (await bounded("a PING", peer.hear("ping")))![1] as number;
  };
  await asked();
  const latest = await asked();
  await peer.say((batch) => {
    batch.control(FrameType.pong, 0, latest);
    batch.data(1, open, none); // Once this has come, so has the PONG.
  });
  await bounded("a stream", peer.session.incoming.next());
  assert.is(await asked(), latest + 1);
  peer.end();
});

test("frames at random end in a protocol error or do nothing, whatever they are", async () => {
  const random = new Random(newSeed());
  for (let round = 0; round < 300; round++) {
    const peer = new TestPeer({ role: "client", limits: { streams: 4 } });
    const ended = peer.session.closed.then(() => "closed", (error) => error.code);
    accept(peer);
    await peer.greet();
    for (let i = 0; i < 50 && !await isOver(ended); i++) await peer.say((b) => babble(b, random));
    peer.end();
    const outcome = await bounded("the end", ended);
    assert.ok(["closed", "protocol", "reset"].includes(outcome), outcome);
  }
});

/** Reads a little of every stream, and leaves it in one of the ways there are. */
function accept(peer: TestPeer): void {
  (async () => {
    let count = 0;
    for await (const stream of peer.session.incoming) {
      const reader = stream.readable.getReader();
      const read = reader.read();
      if (++count % 3 === 0) read.then(() => reader.cancel()).catch(() => {});
      if (count % 3 === 1) read.then(() => stream.writable.close()).catch(() => {});
      if (count % 3 === 2) read.then(() => stream.writable.abort()).catch(() => {});
    }
  })().catch(() => {}); // The session ends as it must; that is what is looked at.
}

/** Mostly frames that make sense one by one, now and then something that does not. */
function babble(batch: Batch, random: Random): void {
  const id = random.below(10);
  const flags = random.pick([0, 0, open, open, end, blocked]);
  const odd = id | 1;
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return batch.data(odd, flags, random.bytes(random.below(2_000)));
    case 4:
      return batch.control(FrameType.reset, odd, random.next());
    case 5:
      return batch.control(FrameType.stop, id + 1, random.next());
    case 6:
      return batch.control(FrameType.credit, id + 1, random.below(1_000));
    case 7:
      return batch.control(FrameType.streams, 0, random.below(3));
    case 8:
      return batch.control(FrameType.ping, 0, random.next());
    case 9:
      return batch.control(FrameType.pong, 0, random.next());
    case 10:
      return batch.control(random.below(12), random.below(3), random.next());
    default:
      if (random.below(20) === 0) batch.close(random.next(), "enough");
  }
}

async function isOver(ended: Promise<unknown>): Promise<boolean> {
  const turn = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 0));
  return await Promise.race([ended.then(() => true), turn]);
}

async function isProtocolError(peer: TestPeer): Promise<void> {
  const error = await bounded("the end", peer.session.closed.catch((error) => error));
  assert.ok(error instanceof TunnelError, `${error}`);
  assert.is(error.code, "protocol", error.message);
}

test.run();
