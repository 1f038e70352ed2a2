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
