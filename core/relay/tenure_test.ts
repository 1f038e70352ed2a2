import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { startFleet } from "../../tests/fleet.ts";
import { type Principal, unverified } from "../identity/credential.ts";
import { CloseCode, type CloseInfo, type Session } from "../transport.ts";
import { LONGEST_WAIT, type Tenure, Tenures } from "./tenure.ts";

const test = suite("relay: how long sessions last");

const NOW = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;

test("a session is closed at the instant that its credential ends, and not before", () => {
  using clock = new Clock();
  const { begin, closed } = start(clock);
  begin({ expiresAt: NOW + DAY });
  clock.advance(DAY - 1);
  assert.equal(closed, []);
  clock.advance(1);
  assert.is(closed.length, 1);
  assert.is(closed[0]!.code, CloseCode.refused);
  assert.is(closed[0]!.reason, "the credential of device x expired at 2026-01-02T00:00:00.000Z");
  assert.is(clock.timers, 0);
});

test("no wait is longer than timers can, however long the credential lasts", () => {
  using clock = new Clock();
  const { begin, closed } = start(clock);
  begin({ expiresAt: NOW + 100 * 365 * DAY });
  clock.advance(3 * DAY);
  assert.ok(clock.longest <= LONGEST_WAIT && LONGEST_WAIT < 2 ** 31);
  assert.equal(closed, []);
  // A clock that is set is followed, one wait later.
  clock.set(NOW + 100 * 365 * DAY);
  clock.advance(LONGEST_WAIT);
  assert.is(closed.length, 1);
});

test("a credential that has ended by the time of the session closes it at once", () => {
  using clock = new Clock();
  const { begin, closed } = start(clock);
  begin({ expiresAt: NOW });
  assert.is(closed.length, 1);
  assert.is(clock.timers, 0);
});

test("what one session renews, all of its process have, and nobody else", () => {
  using clock = new Clock();
  const { tenures, begin, closed } = start(clock);
  const first = begin({ instance: "p-1" });
  begin({ instance: "p-1" });
  begin({ instance: "p-2" });
  begin({ instance: "p-1", name: "y" });
  tenures.renew(first, { credential: "new", issuedAt: NOW + 1, expiresAt: NOW + 2 * DAY });
  clock.advance(DAY);
  assert.equal(closed.map(({ session }) => session).sort(), [3, 4]);
  clock.advance(DAY);
  assert.is(closed.length, 4);
});

test("a session that signed in with the credential of before has the newer one of its process", () => {
  using clock = new Clock();
  const { tenures, begin, closed } = start(clock);
  const first = begin({});
  tenures.renew(first, { credential: "new", issuedAt: NOW + 1, expiresAt: NOW + 2 * DAY });
  const late = begin({});
  assert.equal([late.credential, late.expiresAt], ["new", NOW + 2 * DAY]);
  clock.advance(2 * DAY - 1);
  assert.equal(closed, []);
  // One that is newer still keeps its own.
  assert.is(begin({ issuedAt: NOW + 2 }).credential, "old");
});

test("all sessions share a timer, and each ends at its own instant", () => {
  using clock = new Clock();
  const { begin, closed } = start(clock);
  for (const days of [3, 1, 2]) begin({ name: `d-${days}`, expiresAt: NOW + days * DAY });
  for (const ended of [1, 2, 3]) {
    assert.is(clock.timers, 1);
    clock.advance(DAY - 1);
    assert.is(closed.length, ended - 1);
    clock.advance(1);
    assert.is(closed.length, ended);
  }
  assert.equal(closed.map(({ session }) => session), [2, 3, 1]);
  assert.is(clock.timers, 0);
});

test("a session that begins when the clock was set ends in time, too", () => {
  using clock = new Clock();
  const { begin, closed } = start(clock);
  begin({ expiresAt: NOW + 10 * DAY });
  clock.set(NOW + DAY);
  begin({ name: "y", expiresAt: NOW + DAY + 1_000 });
  clock.advance(1_000);
  assert.equal(closed.map(({ session }) => session), [2]);
});

test("a session that has ended leaves nothing, and is not closed again", () => {
  using clock = new Clock();
  const { tenures, begin, closed } = start(clock);
  const tenure = begin({});
  tenures.end(tenure);
  tenures.end(tenure);
  tenures.renew(tenure, { credential: "new", issuedAt: NOW + 1, expiresAt: NOW + 2 });
  clock.advance(10 * DAY);
  assert.equal(closed, []);
  assert.is(clock.timers, 0);
});

for (const role of ["device", "operator"] as const) {
  test(`the end of the ${role}'s credential ends its session and its channels within 2 s`, async () => {
    await using fleet = await startFleet();
    const member = await fleet.member(role, role === "device" ? "x" : "o", { ttl: 3_000 });
    const ends = unverified(member.identity.credential).expiresAt;
    const device = await fleet.device("x", role === "device" ? { member } : {});
    const operator = role === "device"
      ? await fleet.operator()
      : await fleet.signIn(member.identity);
    const channel = await fleet.dial(operator, "x", { port: 7 });
    const cut = failureOf(channel.closed);
    const link = role === "device" ? device : operator;
    const error = await bounded("the end", failureOf(link.closed));
    const late = Date.now() - ends;
    assert.ok(late >= 0 && late < 2_000, `${late} ms late`);
    assert.is(error.code, "refused");
    assert.match(error.message, /the credential of .* expired at/);
    await bounded("the channel's end", cut);
    const again = await failureOf(fleet.signIn(member.identity));
    assert.is(again.code, "refused");
    assert.match(again.message, /expired at/);
  });
}

test.run();

/** Tenures of sessions that are numbered from 1 and only note how they are closed. */
function start(clock: Clock) {
  const tenures = new Tenures(() => clock.now);
  const closed: (CloseInfo & { session: number })[] = [];
  let count = 0;
  const begin = (
    { name = "x", instance = "p-1", issuedAt = NOW, expiresAt = NOW + DAY }: Partial<
      Tenure & { name: string }
    >,
  ) => {
    const session = ++count;
    const close = (info: CloseInfo) => closed.push({ ...info, session });
    const member = { role: "device", name, issuedAt, expiresAt } as Principal;
    return tenures.begin(member, instance, { close } as unknown as Session, "old");
  };
  return { tenures, begin, closed };
}

/** A clock that goes when it is told to, with the timers of this process on it. */
class Clock implements Disposable {
  readonly #real = [globalThis.setTimeout, globalThis.clearTimeout] as const;
  readonly #waiting = new Map<number, { due: number; work: () => void }>();
  #count = 0;
  #elapsed = 0;
  #set = NOW;
  longest = 0;

  constructor() {
    const begin = (work: () => void, ms: number) => {
      this.longest = Math.max(this.longest, ms);
      this.#waiting.set(++this.#count, { due: this.#elapsed + ms, work });
      return this.#count;
    };
    Object.assign(globalThis, {
      setTimeout: begin,
      clearTimeout: (id: number) => this.#waiting.delete(id),
    });
  }

  get now(): number {
    return this.#set + this.#elapsed;
  }

  get timers(): number {
    return this.#waiting.size;
  }

  /** Sets the clock, as its owner does: no timer runs. */
  set(now: number): void {
    this.#set = now - this.#elapsed;
  }

  advance(ms: number): void {
    const until = this.#elapsed + ms;
    for (;;) {
      const [next] = [...this.#waiting].sort(([, a], [, b]) => a.due - b.due);
      if (!next || next[1].due > until) break;
      this.#waiting.delete(next[0]);
      this.#elapsed = next[1].due;
      next[1].work();
    }
    this.#elapsed = until;
  }

  [Symbol.dispose](): void {
    const [setTimeout, clearTimeout] = this.#real;
    Object.assign(globalThis, { setTimeout, clearTimeout });
  }
}
