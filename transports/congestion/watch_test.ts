import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { answerDatagrams, Wishes } from "./answers.ts";
import type { Datagrams } from "./datagram.ts";
import { type Clock, type Control, LossWatch } from "./watch.ts";

const test = suite("loss watch");

/** Milliseconds between two probes. */
const INTERVAL = 5;
/** Bytes that a session carries meanwhile: five times what counts as busy. */
const MUCH = 820;

test("a session that carries much over a lossy way learns it, and looks no further", async () => {
  const random = new Random(newSeed());
  const way = new Way(() => random.below(50) === 0);
  way.watch.carried(1_000_000);
  while (!way.isOutgrown) await way.go({ probes: 1, carrying: MUCH });
  const { sent } = way;
  way.watch.carried(1_000_000_000);
  await way.turn();
  assert.is(way.sent, sent);
});

test("a session that carries little sends no probe", async () => {
  const way = new Way(() => true);
  await way.go({ probes: 10_000, carrying: 150 });
  assert.is(way.sent, 0);
});

test("a session that carries little again sends no more after a second", async () => {
  const way = new Way(() => false);
  way.watch.carried(32_768);
  await way.go({ probes: 600, carrying: 0 });
  // The first second has what was carried before it.
  assert.ok(way.sent >= 200 && way.sent <= 400, `${way.sent} probes`);
});

test("a lossy way is learned from bursts, each too short for it", async () => {
  // The second loss decides.
  const way = new Way((number) => number % 300 === 299);
  for (let burst = 0; burst < 10; burst++) {
    await way.go({ probes: 50, carrying: MUCH });
    await way.go({ probes: 1_000, carrying: 0 });
    if (burst === 0) assert.not(way.isOutgrown);
  }
  assert.ok(way.isOutgrown);
});

test("a clean way is looked at again after a minute, then after two", async () => {
  const way = new Way(() => false);
  const looks: number[] = [];
  for (let minute = 0; looks.length < 3; minute++) {
    const before = way.sent;
    way.watch.carried(10_000_000);
    await way.go({ probes: 4_000, carrying: MUCH });
    if (way.sent > before) looks.push(minute);
    way.time = (minute + 1) * 80_000;
  }
  assert.equal(looks, [0, 1, 3]);
  assert.not(way.isOutgrown);
});

test("a wish is repeated until it is heard", async () => {
  const way = new Way((number) => number < 3);
  const successor = await bounded("the wish", way.watch.successor());
  assert.equal(successor, { control: "bbr", rest: 0 });
  assert.is(way.sent, 4);
});

test("a wish that nobody hears ends after two seconds", async () => {
  const way = new Way(() => true);
  const error = await failureOf(bounded("the wish", way.watch.successor()));
  assert.is(error.code, "unreachable");
  assert.is(way.time, 2_000);
});

test("a session with BBR is outgrown when it overdrives the way, and Cubic then has its rest", async () => {
  const way = new Way((number) => number % 2 === 0, "bbr");
  way.watch.carried(1_000_000);
  await way.go({ probes: 299, carrying: MUCH });
  assert.not(way.isOutgrown);
  await way.go({ probes: 201, carrying: MUCH });
  assert.ok(way.isOutgrown);
  assert.equal(await way.watch.successor(), { control: "cubic", rest: 960_000 });
});

test("a session with BBR that loses one in ten goes on, for half an hour", async () => {
  const way = new Way((number) => number % 10 === 0, "bbr");
  way.watch.carried(1_000_000);
  await way.go({ probes: 1_000, carrying: MUCH });
  assert.not(way.isOutgrown);
  assert.is(way.sent, 300);
  way.time = 1_800_000;
  await way.go({ probes: 1, carrying: 0 });
  assert.ok(way.isOutgrown);
  assert.equal(await way.watch.successor(), { control: "cubic", rest: 0 });
});

test("a session with BBR does not take darkness for its own doing", async () => {
  const way = new Way(() => true, "bbr");
  way.watch.carried(1_000_000);
  await way.go({ probes: 1_000, carrying: MUCH });
  assert.not(way.isOutgrown);
});

test("a session that is to rest looks at nothing until then", async () => {
  const way = new Way(() => false, "cubic", 10_000);
  way.watch.carried(1_000_000);
  await way.go({ probes: 1_900, carrying: MUCH });
  assert.is(way.sent, 0);
  await way.go({ probes: 200, carrying: MUCH });
  assert.ok(way.sent > 0);
});

for (
  const [what, datagram] of [["an empty", []], ["a long", [0, 0, 0, 0, 0, 0]], ["a strange", [
    2,
    0,
    0,
    0,
    0,
  ]]] as const
) {
  test(`${what} datagram is misuse at either end`, async () => {
    for (const start of [answer, listen]) {
      const conn = new FakeConn();
      const misuse = start(conn);
      conn.come(Uint8Array.from(datagram));
      await bounded("the misuse", misuse);
      assert.is(conn.sent.length, 0);
    }
  });
}

test("a relay answers members alone", async () => {
  const probe = Uint8Array.of(0, 0, 0, 0, 7);
  const stranger = new FakeConn();
  const misuse = answer(stranger, { isMember: false });
  stranger.come(probe);
  await bounded("the misuse", misuse);
  const member = new FakeConn();
  answer(member);
  member.come(probe);
  await member.answered(1);
  assert.equal(member.sent, [probe]);
});

test("a relay answers so many at once and no more", async () => {
  const conn = new FakeConn();
  const misuse = answer(conn);
  for (let i = 0; i < 601; i++) conn.come(Uint8Array.of(0, 0, 0, 0, 0));
  await bounded("the misuse", misuse);
  assert.is(conn.sent.length, 600);
});

test("a session has one wish, however often it asks", async () => {
  const conn = new FakeConn();
  let wishes = 0;
  answer(conn, { onWish: () => wishes++ });
  for (let i = 0; i < 5; i++) conn.come(Uint8Array.of(1, 0, 0, 0, i));
  await conn.answered(5);
  assert.is(wishes, 1);
});

test("Wishes hold until somebody comes from there, or for two seconds", () => {
  let now = 0;
  const wishes = new Wishes(() => now);
  assert.not(wishes.pending);
  wishes.add("192.0.2.1");
  wishes.add("192.0.2.2");
  wishes.grant("192.0.2.3");
  wishes.grant("192.0.2.1");
  assert.ok(wishes.pending);
  now = 1_999;
  assert.ok(wishes.pending);
  now = 2_000;
  assert.not(wishes.pending);
});

test.run();

function answer(
  conn: FakeConn,
  { isMember = true, onWish = () => {} }: { isMember?: boolean; onWish?: () => void } = {},
): Promise<void> {
  const misuse = Promise.withResolvers<void>();
  const asker = { isMember, wished: onWish, misused: () => misuse.resolve() };
  answerDatagrams(conn, asker, () => 0);
  return misuse.promise;
}

function listen(conn: FakeConn): Promise<void> {
  const misuse = Promise.withResolvers<void>();
  new LossWatch({ conn, ended: new AbortController().signal, onMisuse: misuse.resolve });
  return misuse.promise;
}

type Datagram = Uint8Array<ArrayBuffer>;

/** A connection whose peer is the test. */
class FakeConn implements Datagrams {
  readonly sent: Uint8Array[] = [];
  readonly #come: Datagram[] = [];
  #wake = Promise.withResolvers<void>();

  come(datagram: Datagram): void {
    this.#come.push(datagram);
    this.#wake.resolve();
  }

  async answered(count: number): Promise<void> {
    while (this.sent.length < count) await new Promise((resolve) => setTimeout(resolve, 0));
  }

  sendDatagram(datagram: Uint8Array): Promise<void> {
    this.sent.push(datagram);
    return Promise.resolve();
  }

  async readDatagram(): Promise<Datagram> {
    for (;;) {
      const datagram = this.#come.shift();
      if (datagram) return datagram;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }
}

/** A way of 50 ms there and back to a relay that answers, on a clock that goes when it is waited for. */
class Way implements Clock {
  readonly watch: LossWatch;
  time = 0;
  isOutgrown = false;
  sent = 0;
  readonly #isLost: (number: number) => boolean;
  readonly #conn = new FakeConn();
  readonly #due: { at: number; datagram: Datagram }[] = [];
  #waiting: { until: number; resolve: () => void }[] = [];

  constructor(isLost: (number: number) => boolean, control: Control = "cubic", rest = 0) {
    this.#isLost = isLost;
    const conn: Datagrams = {
      readDatagram: () => this.#conn.readDatagram(),
      sendDatagram: (datagram) => {
        const number = this.sent++;
        if (!this.#isLost(number)) {
          this.#due.push({ at: this.time + 50, datagram: datagram.slice() });
        }
        return Promise.resolve();
      },
    };
    const ended = new AbortController().signal;
    const onMisuse = () => assert.unreachable("misuse");
    this.watch = new LossWatch({ conn, ended, onMisuse, control, rest, clock: this });
    this.watch.outgrown.then(() => this.isOutgrown = true);
  }

  now(): number {
    return this.time;
  }

  /** Between wishes time goes on by itself; else the test has it go. */
  delay(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ until: this.time + milliseconds, resolve });
    if (milliseconds === 200) this.#run();
    return promise;
  }

  /** So many intervals of probes, with so many bytes carried in each. */
  async go({ probes, carrying }: { probes: number; carrying: number }): Promise<void> {
    for (let i = 0; i < probes; i++) {
      this.watch.carried(carrying);
      this.time += INTERVAL;
      this.#deliver();
      await this.turn();
      this.#wake();
      await this.turn();
    }
  }

  /** Lets everything happen that is due. */
  async turn(): Promise<void> {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }

  async #run(): Promise<void> {
    await this.turn();
    const next = Math.min(
      ...this.#waiting.map(({ until }) => until),
      ...this.#due.map(({ at }) => at),
    );
    if (next === Infinity) return;
    this.time = Math.max(this.time, next);
    this.#deliver();
    await this.turn();
    this.#wake();
  }

  #deliver(): void {
    while (this.#due.length > 0 && this.#due[0]!.at <= this.time) {
      this.#conn.come(this.#due.shift()!.datagram);
    }
  }

  #wake(): void {
    const due = this.#waiting.filter(({ until }) => until <= this.time);
    this.#waiting = this.#waiting.filter(({ until }) => until > this.time);
    for (const { resolve } of due) resolve();
  }
}
