import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/conformance.ts";
import { newSeed, Random } from "../tests/random.ts";
import { failureOf as failure } from "../tests/failure.ts";
import { startFleet } from "../tests/fleet.ts";
import { Backoff } from "./backoff.ts";
import { superviseEndpoint } from "./endpoint.ts";
import { TunnelError } from "./errors.ts";
import type { Link } from "./link.ts";
import { SILENT } from "./log.ts";
import { Supervisor } from "./supervisor.ts";
import { CloseCode } from "./transport.ts";

const test = suite("supervisor");
const AT_ONCE = { first: 0, cap: 0 };

test("a lost link is made again, and whoever waits for one gets the new one", async () => {
  await using fleet = await startFleet();
  const ups: Link[] = [];
  const { supervisor, stop, running } = await supervise(fleet, (link) => ups.push(link));
  const first = await bounded("the first link", supervisor.link(60_000));
  for (const session of [...fleet.transport.sessions]) session.lose();
  await first.closed.catch(() => {});
  const second = await bounded("the second link", waitForOther(supervisor, first));
  assert.is.not(second, first);
  assert.is(ups.length, 2);
  stop.abort();
  await bounded("the end", running);
});

test("a refusal ends it, for it and for whoever waits", async () => {
  await using fleet = await startFleet();
  const claim = await fleet.claim("operator", "o", { ttl: 1_000, now: Date.now() - 3_600_000 });
  const supervisor = superviseEndpoint({
    relay: fleet.url,
    claim,
    connector: fleet.connector,
    agent: "test",
    log: SILENT,
    supervisor: { backoff: AT_ONCE },
  });
  const waiting = failure(supervisor.link(60_000));
  const ended = failure(supervisor.run(new AbortController().signal));
  assert.is((await bounded("the end", ended)).code, "refused");
  assert.is((await bounded("who waits", waiting)).code, "refused");
});

test("an orderly close by the relay is no reason to stop, a takeover is", async () => {
  let attempts = 0;
  const codes = [CloseCode.goingAway, CloseCode.replaced];
  const supervisor = new Supervisor({
    connect() {
      const code = codes[attempts++]!;
      const closed = code === CloseCode.replaced
        ? Promise.reject(new TunnelError("replaced", { action: "keep", state: "taken over" }))
        : Promise.resolve({ code, reason: "bye" });
      closed.catch(() => {});
      return Promise.resolve({ closed, session: { close() {} } } as unknown as Link);
    },
    backoff: AT_ONCE,
  });
  const error = await bounded("the end", failure(supervisor.run(new AbortController().signal)));
  assert.is(error.code, "replaced");
  assert.is(attempts, 2);
});

test("with failFast the first failure is final, later ones are not", async () => {
  const down = new TunnelError("unreachable", { action: "connect", state: "nobody there" });
  const supervisor = new Supervisor({ connect: () => Promise.reject(down), failFast: true });
  assert.is((await failure(supervisor.run(new AbortController().signal))).code, "unreachable");
});

test("who waits too long is told what the last attempt met", async () => {
  const down = new TunnelError("unreachable", { action: "connect r:443", state: "nobody there" });
  const failed = Promise.withResolvers<void>();
  const supervisor = new Supervisor({
    connect: () => Promise.reject(down),
    onDown: () => failed.resolve(),
    backoff: { first: 60_000, cap: 60_000 },
  });
  const stop = new AbortController();
  const running = supervisor.run(stop.signal);
  await failed.promise;
  const error = await bounded("the wait", failure(supervisor.link(10)));
  assert.is(error.code, "unreachable");
  assert.match(error.message, /nobody there/);
  stop.abort();
  await running;
});

test("new work moves to a better transport, and the old link lives until its channels end", async () => {
  await using fleet = await startFleet();
  await fleet.device("x");
  const improved = Promise.withResolvers<void>();
  let improvements = 0;
  const ups: Link[] = [];
  const supervisor = new Supervisor({
    connect: () => fleet.operator(),
    improve: async () => {
      await improved.promise;
      return improvements++ === 0 ? await fleet.operator() : undefined;
    },
    improveEvery: 0,
    onUp: (link) => ups.push(link),
  });
  const stop = new AbortController();
  const running = supervisor.run(stop.signal);
  const old = await supervisor.link(60_000);
  const channel = await fleet.dial(old, "x", { port: 7 });
  improved.resolve();
  const better = await bounded("the better link", waitForOther(supervisor, old));
  await channel.write(new TextEncoder().encode("still here"));
  assert.is(new TextDecoder().decode((await channel.read())!), "still here");
  const moved = await fleet.dial(better, "x", { port: 7 });
  await moved.closeWrite();
  await channel.closeWrite();
  assert.is(await channel.read(), null);
  await bounded("the old link", old.session.closed);
  assert.is(supervisor.current, better);
  stop.abort();
  await bounded("the end", running);
});

test("an outgrown link is replaced at once, and it is told which one it was", async () => {
  await using fleet = await startFleet();
  const outgrown = Promise.withResolvers<void>();
  const ups: (readonly [Link, Link | undefined])[] = [];
  const supervisor = new Supervisor({
    async connect() {
      const link = await fleet.operator();
      Object.assign(link.session, { outgrown: outgrown.promise });
      return link;
    },
    remake: () => fleet.operator(),
    onUp: (link, old) => ups.push([link, old]),
  });
  const stop = new AbortController();
  const running = supervisor.run(stop.signal);
  const old = await supervisor.link(60_000);
  outgrown.resolve();
  const made = await bounded("the link in its place", waitForOther(supervisor, old));
  assert.equal(ups, [[old, undefined], [made, old]]);
  stop.abort();
  await bounded("the end", running);
});

test("an outgrown link for which there is no other stays", async () => {
  await using fleet = await startFleet();
  const failed = Promise.withResolvers<TunnelError>();
  const down = new TunnelError("unreachable", { action: "connect", state: "nobody there" });
  const supervisor = new Supervisor({
    async connect() {
      const link = await fleet.operator();
      Object.assign(link.session, { outgrown: Promise.resolve() });
      return link;
    },
    remake: () => Promise.reject(down),
    onImproveFailed: failed.resolve,
  });
  const stop = new AbortController();
  const running = supervisor.run(stop.signal);
  const link = await supervisor.link(60_000);
  assert.is(await bounded("the failure", failed.promise), down);
  assert.is(supervisor.current, link);
  assert.ok(await link.ping() >= 0);
  stop.abort();
  await bounded("the end", running);
});

test("whoever waits for a link has the next attempt come soon", async () => {
  await using fleet = await startFleet();
  const downs: number[] = [];
  const failed = Promise.withResolvers<void>();
  const down = new TunnelError("unreachable", { action: "connect", state: "nobody there" });
  let attempts = 0;
  const supervisor = new Supervisor({
    connect: () => attempts++ === 0 ? Promise.reject(down) : fleet.operator(),
    onDown: (_, retryIn) => failed.resolve(void downs.push(retryIn)),
    backoff: { first: 3_600_000, cap: 3_600_000 },
    impatience: 1,
  });
  const stop = new AbortController();
  const running = supervisor.run(stop.signal);
  await failed.promise;
  await bounded("the link", supervisor.link(60_000));
  assert.is(attempts, 2);
  assert.ok(downs[0]! >= 1_800_000);
  stop.abort();
  await running;
});

for (const isUsed of [false, true]) {
  const what = isUsed ? "in use comes back at once" : "idle comes back within its spread";
  test(`a link that was ${what}`, async () => {
    const lost = new TunnelError("reset", { action: "keep", state: "it was lost" });
    const closed = Promise.reject(lost);
    closed.catch(() => {});
    const link = { closed, session: { close() {} }, spread: 60_000, isUsed } as unknown as Link;
    const down = Promise.withResolvers<number>();
    const supervisor = new Supervisor({
      connect: () => Promise.resolve(link),
      onDown: (_, retryIn) => down.resolve(retryIn),
      backoff: { random: () => 0.5 },
    });
    const stop = new AbortController();
    const running = supervisor.run(stop.signal);
    assert.is(await bounded("the loss", down.promise), isUsed ? 187.5 : 30_000);
    stop.abort();
    await running;
  });
}

test("Backoff doubles up to its cap and cuts by up to half", () => {
  const random = new Random(newSeed());
  const backoff = new Backoff({ first: 100, cap: 1_000, random: () => random.next() / 2 ** 32 });
  for (const full of [100, 200, 400, 800, 1_000, 1_000, 1_000]) {
    const wait = backoff.next();
    assert.ok(wait > full / 2 - 1e-9 && wait <= full, `${wait} of ${full}`);
  }
  backoff.reset();
  assert.ok(backoff.next() <= 100);
});

test("Backoff spreads a fleet's first attempts evenly, and later ones over the second half", () => {
  const random = new Random(newSeed());
  const waits = Array.from({ length: 1_000 }, () => {
    const backoff = new Backoff({ random: () => random.next() / 2 ** 32 });
    return [backoff.next(10_000), backoff.next(10_000)] as const;
  });
  const share = (from: number, to: number, at: 0 | 1) =>
    waits.filter((wait) => wait[at] >= from && wait[at] < to).length / waits.length;
  for (let from = 0; from < 10_000; from += 1_000) {
    const part = share(from, from + 1_000, 0);
    assert.ok(part > 0.05 && part < 0.16, `${part} of all come ${from} ms after the loss`);
    const later = share(from, from + 1_000, 1);
    assert.ok(from < 5_000 ? later === 0 : later > 0.13, `${later} retry after ${from} ms`);
  }
});

test.run();

type Fleet = Awaited<ReturnType<typeof startFleet>>;

async function supervise(fleet: Fleet, onUp: (link: Link) => void) {
  const supervisor = superviseEndpoint({
    relay: fleet.url,
    claim: await fleet.claim("operator", "o"),
    connector: fleet.connector,
    agent: "test",
    log: SILENT,
    onUp,
    supervisor: { backoff: AT_ONCE },
  });
  const stop = new AbortController();
  return { supervisor, stop, running: supervisor.run(stop.signal) };
}

async function waitForOther(supervisor: Supervisor, than: Link): Promise<Link> {
  for (;;) {
    const link = await supervisor.link(60_000);
    if (link !== than) return link;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
