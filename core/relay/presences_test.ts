import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { type Fleet, startFleet } from "../../tests/fleet.ts";
import type { DeviceInfo, PresenceChange } from "../control.ts";
import type { Link } from "../link.ts";
import { Presences } from "./presences.ts";
import { type DeviceSession, Registry } from "./registry.ts";

const test = suite("relay: presences");

test("who watches is told of devices that come and go, as they do", async () => {
  await using fleet = await startFleet();
  const heard = await watch(await fleet.operator());
  const device = await fleet.device("x");
  const came = await heard.next();
  assert.equal([came.id, came.online, came.transport, came.streams], ["x", true, "memory", 0]);
  device.session.close();
  const { since, ...went } = await heard.next();
  assert.equal(went, { id: "x", online: false, transport: "memory", remote: came.remote });
  assert.ok(since! >= came.since!);
});

test("what is told is what `devices` and `device` say", async () => {
  await using fleet = await startFleet();
  const operator = await fleet.operator();
  const heard = await watch(operator);
  const device = await fleet.device("x");
  for (let i = 0; i < 2; i++) {
    const told = await heard.next();
    assert.equal(await operator.devices(), [told]);
    assert.equal(await operator.device("x"), told);
    device.session.close();
  }
});

test("connections, their bytes and the round trip are told", async () => {
  await using fleet = await startFleet({ watchInterval: 10 });
  const operator = await fleet.operator();
  const heard = await watch(operator);
  const device = await fleet.device("x");
  await device.report(12.345);
  await heard.until(({ roundTrip }) => roundTrip === 12.35);
  const channel = await fleet.dial(operator, "x", { port: 7 });
  await heard.until(({ streams }) => streams === 1);
  await channel.write(new Uint8Array(1_000));
  for (let left = 1_000; left > 0;) left -= (await channel.read())!.length;
  const { sent, received } = await heard.until(({ sent }) => sent! >= 1_000);
  // Sealed, so a little more than what was written.
  assert.ok(sent! < 3_000 && received! >= 1_000 && received! < 3_000, `${sent} ${received}`);
  await channel.closeWrite();
  assert.is(await channel.read(), null);
  const { roundTrip } = await heard.until(({ streams }) => streams === 0);
  assert.is(roundTrip, 12.35);
});

test("only a device's own word counts for its round trip", async () => {
  await using fleet = await startFleet();
  const operator = await fleet.operator("x");
  await fleet.device("x");
  await operator.report(5);
  assert.is((await operator.device("x")).roundTrip, undefined);
});

test("an operator is told of devices that its grants name, and of no other", async () => {
  await using fleet = await startFleet();
  const anna = await watch(await fleet.operator("anna", { grants: [{ scope: "a*:22" }] }));
  const boss = await watch(await fleet.operator("boss", { grants: [] }));
  await fleet.store.apply(
    { type: "rights", operator: "boss", rights: { admin: true, approver: false } },
    { by: "local:test", at: Date.now() },
  );
  await fleet.relay.access.refresh();
  for (const id of ["b1", "a1", "b2", "a2"]) await fleet.device(id);
  assert.equal([(await anna.next()).id, (await anna.next()).id], ["a1", "a2"]);
  const all = new Set<string>();
  while (all.size < 4) all.add((await boss.next()).id);
  assert.equal(anna.unread, []);
});

test("who may see other devices than before is told to read the list anew", async () => {
  await using fleet = await startFleet({ watchInterval: 10 });
  const operator = await fleet.operator("anna", { grants: [] });
  const heard = await watch(operator);
  await fleet.device("x");
  assert.equal(await operator.devices(), []);
  const by = { by: "local:test", at: Date.now() };
  const grant = { type: "grant", operator: "anna", scope: "x:22" } as const;
  const { id } = (await fleet.store.apply(grant, by))[0]!;
  await bounded("the word to read anew", heard.again());
  assert.equal((await operator.devices()).map(({ id }) => id), ["x"]);
  await fleet.store.apply({ type: "revoke-grant", id }, by);
  await bounded("the word to read anew", heard.again());
  assert.equal(await operator.devices(), []);
});

test("a session that ends its watch is told nothing more, and may begin another", async () => {
  await using fleet = await startFleet();
  const operator = await fleet.operator();
  const before = await watch(operator);
  await before.stop();
  await fleet.device("x");
  const heard = await watch(operator);
  await fleet.device("y");
  assert.is((await heard.next()).id, "y");
  assert.equal(before.unread, []);
});

test("a second watch of one session, and one of a device, are refused", async () => {
  await using fleet = await startFleet();
  const operator = await fleet.operator();
  await operator.request({ type: "watch", id: 0 });
  const ask = (link: Link) => failureOf(link.request({ type: "watch", id: 0 }));
  assert.is((await ask(operator)).code, "limit");
  assert.is((await ask(await fleet.device("x"))).code, "refused");
});

test("a watcher that does not read has the latest of each device kept, and no more than its bound", async () => {
  const registry = new Registry();
  const presences = new Presences({ registry, now: Date.now });
  const over = new AbortController();
  const sent: Omit<PresenceChange, "type" | "id">[] = [];
  let room = Promise.withResolvers<void>();
  let asked = Promise.withResolvers<void>();
  const telling = presences.tell({
    mayKnow: () => true,
    reach: () => "",
    send(change) {
      sent.push(change);
      asked.resolve();
      return room.promise;
    },
  }, over.signal);
  const take = async () => {
    await bounded("a message", asked.promise);
    asked = Promise.withResolvers();
    return sent.shift()!;
  };
  registry.add(session("first"));
  assert.equal((await take()).devices.map(({ id }) => id), ["first"]);
  // While it waits for room: one that comes and goes ten times is told once.
  for (let i = 0; i < 10; i++) {
    const entry = session("x");
    registry.add(entry);
    registry.remove(entry);
  }
  room.resolve();
  room = Promise.withResolvers();
  const { devices, again } = await take();
  assert.equal(devices.map(({ id, online }) => [id, online]), [["x", false]]);
  assert.is(again, undefined);
  for (let i = 0; i <= 8_192; i++) registry.add(session(`d${i}`));
  room.resolve();
  assert.equal(await take(), { devices: [], again: true });
  over.abort();
  room.resolve();
  await bounded("the end", telling);
  assert.is(presences.size, 0);
});

test.run();

interface Heard {
  readonly unread: DeviceInfo[];
  next(): Promise<DeviceInfo>;
  until(wanted: (device: DeviceInfo) => boolean): Promise<DeviceInfo>;
  again(): Promise<void>;
  stop(): Promise<void>;
}

async function watch(link: Awaited<ReturnType<Fleet["operator"]>>): Promise<Heard> {
  const unread: DeviceInfo[] = [];
  let again = 0;
  let wake = Promise.withResolvers<void>();
  const stop = await link.watch((change) => {
    if (!change) return;
    unread.push(...change.devices);
    if (change.again) again++;
    wake.resolve();
  });
  const more = async () => {
    await bounded("a change", wake.promise);
    wake = Promise.withResolvers();
  };
  const next = async () => {
    while (unread.length === 0) await more();
    return unread.shift()!;
  };
  return {
    unread,
    next,
    async until(wanted) {
      for (;;) {
        const device = await next();
        if (wanted(device)) return device;
      }
    },
    async again() {
      while (again === 0) await more();
      again--;
    },
    stop,
  };
}

function session(id: string): DeviceSession {
  const remote = { hostname: "192.0.2.1", port: 1 };
  const closed = new Promise<never>(() => {});
  const transport = { transport: "memory", remote, closed, close() {} };
  return {
    id,
    instance: "12345678",
    session: transport as unknown as DeviceSession["session"],
    since: 1,
    peer: undefined,
  };
}
