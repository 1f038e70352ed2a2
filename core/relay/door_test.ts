import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { SILENT } from "../log.ts";
import { Metrics } from "../metrics.ts";
import type { Incoming } from "../transport.ts";
import { Door, type Guest } from "./door.ts";
import { DEFAULT_RELAY_LIMITS, type RelayLimits } from "./limits.ts";
import { RelayMetrics } from "./metrics.ts";
import { Refusals } from "./refusals.ts";

const test = suite("Door");

test("those who have not shown that they hear leave places to those who have", () => {
  const { door } = made({ pending: 4, handshakes: 2 });
  const quic = [guestOf(door, false), guestOf(door, false)];
  const refused = incomingOf(false);
  assert.is(door.enter(refused), undefined);
  assert.is(refused.refusals, 1);
  const tcp = [guestOf(door, true), guestOf(door, true)];
  assert.is(door.enter(incomingOf(true)), undefined);
  quic[0]!.proven();
  tcp[0]!.signedIn();
  assert.ok(door.enter(incomingOf(false)));
});

test("when more than half of the places are taken newcomers get a quarter of the time", () => {
  const { door, clock } = made({ pending: 4, signInTimeout: 8_000 });
  const [first] = [guestOf(door, true), guestOf(door, true), guestOf(door, true)];
  assert.is(first!.timeout, 8_000);
  assert.is(guestOf(door, true).timeout, 2_000);
  clock.at += 3_000;
  assert.is(first!.timeout, 5_000);
  clock.at += 6_000;
  assert.is(first!.timeout, 1);
});

test("a guest gives back everything, once, whatever it has come to", () => {
  const { door } = made({ addressPending: 1 });
  const seats: string[] = [];
  for (let i = 0; i < 3; i++) {
    const guest = guestOf(door, false);
    guest.arrive({ hostname: "192.0.2.1", port: 1 });
    guest.checkWelcome();
    guest.keep(() => seats.push("given back"));
    if (i === 1) guest.proven();
    if (i === 2) guest.signedIn();
    guest.leave();
    guest.leave();
  }
  assert.is(seats.length, 3);
  assert.equal([door.sessions, door.pending, door.handshakes], [0, 0, 0]);
});

test("an address over its limit is told so while there is room, else turned away at once", async () => {
  const { door } = made({ addressPending: 1, pending: 6 });
  const arrive = () => {
    const guest = guestOf(door, true);
    guest.arrive({ hostname: "192.0.2.1", port: 1 });
    return guest;
  };
  arrive().checkWelcome();
  const told = arrive();
  assert.is((await failure(() => told.checkWelcome())).code, "limit");
  assert.ok(told.timeout <= 2_000);
  arrive();
  assert.is((await failure(arrive)).code, "limit");
  told.leave();
});

test("joins of an address pause once its failures are used up, and then go on", async () => {
  const { door, clock } = made({
    joinFailures: { perSecond: 0.001, burst: 2 },
    joinPause: 1_000,
  });
  const guest = guestOf(door, true);
  guest.arrive({ hostname: "192.0.2.1", port: 1 });
  const other = guestOf(door, true);
  other.arrive({ hostname: "192.0.2.2", port: 1 });
  for (let i = 0; i < 3; i++) {
    guest.checkJoin();
    guest.joinFailed();
  }
  assert.is((await failure(() => guest.checkJoin())).code, "limit");
  other.checkJoin();
  clock.at += 1_000;
  guest.checkJoin();
});

test("a flood of refusals is counted whole and said in a few lines", () => {
  const { door, clock, lines, metrics } = made({ pending: 0 });
  for (let i = 0; i < 10_000; i++) {
    door.enter(incomingOf(true));
    clock.at += 1;
  }
  assert.ok(lines.length >= 10 && lines.length <= 13, `${lines.length} lines`);
  clock.at += 10_000;
  door.enter(incomingOf(true));
  const unsaid = lines.reduce((sum, line) => sum + (line.unsaid ?? 0), 0);
  assert.is(unsaid + lines.length, 10_001);
  const refused = [...metrics].find(({ name }) => name === "tunnel_relay_refused_total")!;
  const pending = [...refused.samples()].find(({ labels }) => labels.limit === "pending")!;
  assert.is(pending.value, 10_001);
});

test.run();

function made(limits: Partial<RelayLimits>) {
  const clock = { at: 0 };
  const metrics = new Metrics();
  const lines: { unsaid?: number }[] = [];
  const log = { ...SILENT, warn: (_: string, fields = {}) => void lines.push(fields) };
  const now = () => clock.at;
  const refusals = new Refusals(new RelayMetrics(metrics), log, now);
  const all = { ...DEFAULT_RELAY_LIMITS, ...limits };
  const door = new Door({ limits: all, refusals, log: SILENT, clock: now });
  return { door, clock, metrics, lines };
}

function guestOf(door: Door, isProven: boolean): Guest {
  const guest = door.enter(incomingOf(isProven));
  assert.ok(guest, "there was no place");
  return guest!;
}

function incomingOf(isProven: boolean): Incoming & { refusals: number } {
  return {
    transport: "test",
    remote: isProven ? { hostname: "192.0.2.1", port: 1 } : undefined,
    refusals: 0,
    accept: () => Promise.reject(new Error("nobody accepts here")),
    refuse() {
      this.refusals++;
    },
  };
}
