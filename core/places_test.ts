import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { type Fleet, startFleet } from "../tests/fleet.ts";
import type { MemorySession } from "../transports/memory.ts";
import { superviseEndpoint } from "./endpoint.ts";
import { TunnelError } from "./errors.ts";
import type { Link } from "./link.ts";
import { SILENT } from "./log.ts";
import { Places } from "./places.ts";

const test = suite("places");
let ending = new AbortController();
test.after.each(() => {
  ending.abort();
  ending = new AbortController();
});
const TARGET = { port: 7 };

test("dials that have no place on a session go by more of them, which leave when all is done", async () => {
  await using fleet = await startFleet({ streams: 3 });
  await fleet.device("x");
  await using operator = await operatorOf(fleet);
  const dials = Array.from({ length: 8 }, () => operator.dialer.dial("x", TARGET));
  const channels = await bounded("the dials", Promise.all(dials));
  assert.is(operator.sessions.length, 3);
  for (const [i, channel] of channels.entries()) {
    await channel.write(Uint8Array.of(i));
    assert.equal(await bounded("the echo", channel.read()), Uint8Array.of(i));
  }
  const [first, ...more] = operator.sessions;
  for (const channel of channels) await channel.closeWrite();
  for (const channel of channels) assert.is(await bounded("the end", channel.read()), null);
  for (const { closed } of more) await bounded("the session's end", closed);
  const stays = Promise.race([first!.closed.then(() => "closed"), Promise.resolve("open")]);
  assert.is(await stays, "open");
});

test("channels of all sessions come again when every session is lost", async () => {
  await using fleet = await startFleet({ streams: 2 });
  await fleet.device("x");
  await using operator = await operatorOf(fleet);
  const dials = Array.from({ length: 5 }, () => operator.dialer.dial("x", TARGET));
  const channels = await bounded("the dials", Promise.all(dials));
  const before = operator.sessions;
  assert.is(before.length, 3);
  for (const session of before) (session as MemorySession).lose();
  for (const [i, channel] of channels.entries()) {
    await channel.write(Uint8Array.of(i));
    assert.equal(await bounded("the echo", channel.read()), Uint8Array.of(i));
  }
  assert.is(operator.sessions.length - before.length, 3);
});

test("when one session is lost its channels come again, and the others stay where they are", async () => {
  await using fleet = await startFleet({ streams: 2 });
  await fleet.device("x");
  await using operator = await operatorOf(fleet);
  const dials = Array.from({ length: 5 }, () => operator.dialer.dial("x", TARGET));
  const channels = await bounded("the dials", Promise.all(dials));
  (operator.sessions[0] as MemorySession).lose();
  for (const [i, channel] of channels.entries()) {
    await channel.write(Uint8Array.of(i));
    assert.equal(await bounded("the echo", channel.read()), Uint8Array.of(i));
  }
  assert.is(operator.resumed, 2);
  assert.is(operator.sessions.length, 4);
});

test("a place that was given back is used again", async () => {
  await using fleet = await startFleet({ streams: 2 });
  await fleet.device("x");
  await using operator = await operatorOf(fleet);
  for (let i = 0; i < 20; i++) {
    const channel = await bounded("the dial", operator.dialer.dial("x", TARGET));
    await channel.closeWrite();
    assert.is(await bounded("the end", channel.read()), null);
    await bounded("the channel's end", channel.released);
  }
  assert.is(operator.sessions.length, 1);
});

test("where no other session is to be had, a dial waits for a place", async () => {
  await using fleet = await startFleet({ streams: 2, limits: { operatorSessions: 1 } });
  await fleet.device("x");
  await using operator = await operatorOf(fleet);
  const channels = [
    await operator.dialer.dial("x", TARGET),
    await operator.dialer.dial("x", TARGET),
  ];
  let isThere = false;
  const third = operator.dialer.dial("x", TARGET).finally(() => isThere = true);
  const why = await bounded("the warning", operator.warned);
  assert.match(why, /operator night-shift has 1 sessions/);
  assert.is(isThere, false);
  channels[0]!.reset(new TunnelError("reset", { action: "use it", state: "it is over" }));
  const channel = await bounded("the third dial", third);
  await channel.write(Uint8Array.of(9));
  assert.equal(await bounded("the echo", channel.read()), Uint8Array.of(9));
});

test("a dial that is given up while a session is made leaves that to the next", async () => {
  const current = fakeLink(1);
  const made = Promise.withResolvers<Link>();
  const places = placesOf({ link: () => Promise.resolve(current), another: () => made.promise });
  await places.take(1_000, open());
  const gone = new AbortController();
  const given = failureOf(places.take(1_000, gone.signal));
  const waiting = places.take(1_000, open());
  gone.abort();
  assert.is((await bounded("who left", given)).code, "aborted");
  const other = fakeLink(1);
  made.resolve(other);
  assert.is((await bounded("who waits", waiting)).link, other);
});

test("a session that is outgrown has another in its place, and its work is to move", async () => {
  const current = fakeLink(1);
  const asked: (Link | undefined)[] = [];
  const outgrown: Link[] = [];
  const made = [fakeLink(2), fakeLink(2)] as const;
  const another = (_: AbortSignal, outgrown?: Link) => {
    asked.push(outgrown);
    return Promise.resolve(made[asked.length - 1]!);
  };
  const moved = Promise.withResolvers<void>();
  const places = placesOf({ link: () => Promise.resolve(current), another }, (link) => {
    outgrown.push(link);
    moved.resolve();
  });
  await places.take(1_000, open());
  assert.is((await places.take(1_000, open())).link, made[0]);
  made[0].outgrow();
  await bounded("the move", moved.promise);
  assert.equal([asked, outgrown], [[undefined, made[0]], [made[0]]]);
  assert.is((await places.take(1_000, open())).link, made[1]);
});

test("where a better transport has come, no place beside the link of before is taken", async () => {
  const links = [fakeLink(1), fakeLink(1, "better")] as const;
  const made = [fakeLink(5), fakeLink(5, "better"), fakeLink(5, "better")];
  let current: Link = links[0];
  const places = placesOf({
    link: () => Promise.resolve(current),
    another: () => Promise.resolve(made.shift()!),
  });
  const [before, after, other] = made;
  await places.take(1_000, open());
  assert.is((await places.take(1_000, open())).link, before);
  current = links[1];
  places.prefer("better");
  assert.not(places.has(before!));
  assert.is((await places.take(1_000, open())).link, links[1]);
  assert.is((await places.take(1_000, open())).link, after);
  // A session by the same transport leaves those beside it where they are.
  places.prefer("better");
  assert.ok(places.has(after!));
  for (let i = 0; i < 4; i++) assert.is((await places.take(1_000, open())).link, after);
  assert.is((await places.take(1_000, open())).link, other);
});

test("a session by another transport than the current one's serves as well, and one is enough", async () => {
  const current = fakeLink(1, "websocket");
  const refused = new TunnelError("limit", { action: "sign in", state: "there are too many" });
  const made: Link[] = [];
  const another = () => {
    if (made.length === 3) return Promise.reject(refused);
    made.push(fakeLink(5, "quic"));
    return Promise.resolve(made.at(-1)!);
  };
  const places = placesOf({ link: () => Promise.resolve(current), another });
  places.prefer("websocket");
  await places.take(1_000, open());
  assert.is((await places.take(1_000, open())).link, made[0]);
  assert.is(made.length, 1);
});

test("without a place to move to, and no other session, there is none to wait for", async () => {
  const current = fakeLink(0);
  const refused = new TunnelError("limit", { action: "sign in", state: "there are too many" });
  const places = placesOf({
    link: () => Promise.resolve(current),
    another: () => Promise.reject(refused),
  });
  assert.is(await places.takeFree(current, open()), undefined);
  assert.is((await places.take(1_000, open())).link, current);
});

test.run();

/** A dialer with all that it needs, and the sessions that it has by now. */
async function operatorOf(fleet: Fleet) {
  const before = fleet.sessions.length;
  const { identity } = await fleet.member("operator", "night-shift");
  const warning = Promise.withResolvers<string>();
  const warn = (_: string, { why }: { why?: unknown } = {}) => warning.resolve(String(why));
  let resumed = 0;
  const info = (what: string) => what === "channel resumed" && resumed++;
  const supervisor = superviseEndpoint({
    ...{ relay: fleet.url, connector: fleet.connector, agent: "test", log: SILENT },
    claim: () => identity.claim(),
  });
  const dialer = await fleet.dialer(supervisor, { log: { ...SILENT, info, warn } });
  const ending = new AbortController();
  const running = supervisor.run(ending.signal);
  return {
    dialer,
    warned: warning.promise,
    get resumed() {
      return resumed;
    },
    get sessions() {
      return fleet.sessions.slice(before);
    },
    async [Symbol.asyncDispose]() {
      await dialer.close();
      ending.abort();
      await running;
    },
  };
}

function placesOf(links: ConstructorParameters<typeof Places>[0]["links"], onOutgrown = noted) {
  return new Places({ links, onOutgrown, signal: open() });
}

function noted(_: Link): void {}

function open(): AbortSignal {
  return ending.signal;
}

/** As much of a link as places need. */
function fakeLink(places: number, transport = "fake"): Link & { outgrow(): void } {
  const outgrown = Promise.withResolvers<void>();
  let held = 0;
  return {
    session: { transport, closed: new Promise(() => {}), outgrown: outgrown.promise },
    get isFull() {
      return held >= places;
    },
    hold: () => (held++, () => held--),
    retire() {},
    outgrow: outgrown.resolve,
  } as unknown as Link & { outgrow(): void };
}
