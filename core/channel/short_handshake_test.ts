import { base64url } from "jose";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failureOf } from "../../tests/failure.ts";
import { Leftovers } from "../../tests/leftovers.ts";
import { generateAgreementKey } from "../identity/keys.ts";
import { StaticKey } from "../noise/static_key.ts";
import { Freshness } from "./freshness.ts";
import { type Established, initiate, respond, type Subject } from "./handshake.ts";
import { initiateShort, respondShort } from "./short_handshake.ts";
import { OwnTickets, TakenTickets, type Ticket } from "./tickets.ts";

const test = suite("short handshake");

const subject: Subject = { device: "x", port: 22, protocol: "tcp", epoch: "A".repeat(22) };
const tables: { close(): void }[] = [];
test.after.each(() => {
  for (const table of tables.splice(0)) table.close();
});

const holder = { credential: "s", remoteKey: "S".repeat(43), ownCredential: "d" };

test("a full handshake leaves both ends the same ticket, which is not the channel's secret", async () => {
  const { ours, theirs } = await full();
  assert.equal(ours.ticket, theirs.ticket);
  assert.is.not(base64url.encode(ours.ticket!.key), base64url.encode(ours.secret));
  assert.not.equal(ours.ticket, (await full()).ours.ticket);
});

test("both ends of a short one get one ID, one secret and keys that open", async () => {
  const { tickets, ticket } = taken();
  const made = initiateShort(ticket, 0, subject, { reason: "ticket 4711" });
  const response = respondShort(tickets, "d", subject, made.hello)!;
  assert.is(response.reason, "ticket 4711");
  assert.is(response.credential, holder.credential);
  assert.is(response.remoteKey, holder.remoteKey);
  const { hello, established: theirs } = await response.accept(7);
  const ours = await made.finish(hello);
  assert.is(ours.received, 7);
  assert.is(ours.id, theirs.id);
  assert.equal(ours.secret, theirs.secret);
  assert.is(ours.ticket, undefined);
  opens(ours, theirs);
  opens(theirs, ours);
});

test("two dials by one ticket have nothing in common", async () => {
  const { tickets, ticket } = taken();
  const [one, two] = [await short(tickets, ticket, 0), await short(tickets, ticket, 1)];
  assert.is.not(one.ours.id, two.ours.id);
  assert.not.equal(one.ours.secret, two.ours.secret);
  const sealed = new Uint8Array(17);
  one.ours.keys.send.seal([Uint8Array.of(1)], sealed, 0);
  assert.throws(() => two.theirs.keys.receive.open(sealed));
});

test("a first message is a hello like any other to what keeps copies out", () => {
  const { ticket } = taken();
  const freshness = new Freshness();
  const hellos = [0, 1].map((number) => initiateShort(ticket, number, subject).hello);
  for (const hello of hellos) assert.ok(freshness.admit(hello, freshness.epoch));
  assert.throws(() => freshness.admit(hellos[0]!, freshness.epoch), /copy/);
});

const alterations: [string, Partial<Subject>][] = [
  ["device", { device: "y" }],
  ["host", { host: "other" }],
  ["port", { port: 23 }],
  ["epoch", { epoch: "B".repeat(22) }],
];
for (const [what, altered] of alterations) {
  test(`a relay that alters the ${what} gets no short handshake`, () => {
    const { tickets, ticket } = taken();
    const { hello } = initiateShort(ticket, 0, subject);
    assert.is(respondShort(tickets, "d", { ...subject, ...altered }, hello), undefined);
  });
}

test("an altered hello or answer is never taken, and neither is one cut short", async () => {
  const { tickets, ticket } = taken();
  const { hello } = initiateShort(ticket, 0, subject);
  const length = base64url.decode(hello).length;
  for (let at = 0; at < length; at++) {
    assert.is(respondShort(tickets, "d", subject, flip(hello, at)), undefined, `byte ${at}`);
    const cut = base64url.encode(base64url.decode(hello).subarray(0, at));
    assert.is(respondShort(tickets, "d", subject, cut), undefined, `cut at ${at}`);
  }
  const answer = (await respondShort(tickets, "d", subject, hello)!.accept(0)).hello;
  for (let at = 0; at < base64url.decode(answer).length; at++) {
    const made = initiateShort(ticket, 0, subject);
    assert.is((await failureOf(made.finish(flip(answer, at)))).code, "refused", `byte ${at}`);
  }
  const made = initiateShort(ticket, 0, subject);
  assert.is((await failureOf(made.finish(answer.slice(0, 40)))).code, "protocol");
});

test("a ticket that the device does not know, or made as another, gets none", () => {
  const { tickets, ticket } = taken();
  const { hello } = initiateShort(ticket, 0, subject);
  assert.is(respondShort(new TakenTickets(), "d", subject, hello), undefined);
  assert.is(respondShort(tickets, "renewed", subject, hello), undefined);
  tickets.close();
  assert.is(respondShort(tickets, "d", subject, hello), undefined);
});

test("a service uses a ticket for the device, epoch and credential that it was made with", () => {
  const own = new OwnTickets();
  tables.push(own);
  const use = { peer: { key: "k", epoch: "e" }, credential: "c" };
  own.add("x", randomTicket(), use);
  assert.equal([0, 1, 2].map(() => own.take("x", use)!.number), [0, 1, 2]);
  assert.is(own.take("y", use), undefined);
  assert.is(own.take("x", { ...use, credential: "renewed" }), undefined);
  assert.is(own.take("x", { ...use, peer: { key: "k", epoch: "next" } }), undefined);
  assert.is(own.take("x", { ...use, peer: { key: "rotated", epoch: "e" } }), undefined);
  own.drop("x");
  assert.is(own.take("x", use), undefined);
});

test("tickets go after their time, though nobody looks", () => {
  const { setTimeout: set } = globalThis;
  const { now } = performance;
  const timers: { run: () => void; at: number }[] = [];
  let clock = 0;
  performance.now = () => clock;
  globalThis.setTimeout =
    ((run: () => void, ms: number) =>
      timers.push({ run, at: clock + ms })) as unknown as typeof set;
  try {
    const tickets = new TakenTickets();
    const old = randomTicket();
    tickets.add(old, holder);
    clock = 20_000;
    const young = randomTicket();
    tickets.add(young, holder);
    assert.is(timers.length, 1);
    clock = timers[0]!.at;
    assert.is(tickets.find(old.id, "d"), undefined);
    timers[0]!.run();
    assert.is(tickets.size, 1);
    assert.ok(tickets.find(young.id, "d"));
    clock = timers[1]!.at;
    timers[1]!.run();
    assert.is(tickets.size, 0);
    assert.is(timers.length, 2);
  } finally {
    globalThis.setTimeout = set;
    performance.now = now;
  }
});

test("once closed, tickets are neither kept nor taken", () => {
  using leftovers = new Leftovers();
  const { tickets, ticket } = taken();
  const own = new OwnTickets();
  const use = { peer: { key: "k", epoch: "e" }, credential: "c" };
  own.add("x", ticket, use);
  for (const table of [tickets, own]) table.close();
  // A dial that was under way may come to its end now.
  tickets.add(ticket, holder);
  own.add("x", ticket, use);
  assert.is(tickets.find(ticket.id, "d"), undefined);
  assert.is(own.take("x", use), undefined);
  assert.is(leftovers.timers, 0);
});

test("of too many tickets the oldest goes", () => {
  const tickets = new TakenTickets();
  const all = Array.from({ length: 1_025 }, randomTicket);
  for (const ticket of all) tickets.add(ticket, holder);
  assert.is(tickets.size, 1_024);
  assert.is(tickets.find(all[0]!.id, "d"), undefined);
  assert.ok(tickets.find(all[1]!.id, "d"));
  tickets.close();
});

async function full(): Promise<{ ours: Established; theirs: Established }> {
  const [service, device] = await Promise.all([newKey(), newKey()]);
  const key = base64url.encode(device.publicKey);
  const made = await initiate({ credential: "s", key: service }, key, subject);
  const response = (await respond({ credential: "d", key: device }, subject, made.hello))!;
  const { hello, established } = await response.accept(0);
  return { ours: await made.finish(hello), theirs: established };
}

async function short(tickets: TakenTickets, ticket: Ticket, number: number) {
  const made = initiateShort(ticket, number, subject);
  const response = respondShort(tickets, "d", subject, made.hello)!;
  const { hello, established } = await response.accept(0);
  return { ours: await made.finish(hello), theirs: established };
}

function taken(): { tickets: TakenTickets; ticket: Ticket } {
  const tickets = new TakenTickets();
  tables.push(tickets);
  const ticket = randomTicket();
  tickets.add(ticket, holder);
  return { tickets, ticket };
}

function randomTicket(): Ticket {
  const random = crypto.getRandomValues(new Uint8Array(48));
  return { id: base64url.encode(random.subarray(0, 16)), key: random.slice(16) };
}

async function newKey(): Promise<StaticKey> {
  return await StaticKey.import(await generateAgreementKey());
}

function opens(from: Established, to: Established): void {
  const sealed = new Uint8Array(3 + 16);
  from.keys.send.seal([Uint8Array.of(1, 2, 3)], sealed, 0);
  assert.equal([...to.keys.receive.open(sealed)], [1, 2, 3]);
}

function flip(message: string, at: number): string {
  const bytes = base64url.decode(message).slice();
  bytes[at]! ^= 1;
  return base64url.encode(bytes);
}

test.run();
