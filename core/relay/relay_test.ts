import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { startFleet } from "../../tests/fleet.ts";
import { bytes, text } from "../../tests/text.ts";

const test = suite("relay: sessions and requests");

test("a second process with a device's credential replaces the first, which is told why", async () => {
  await using fleet = await startFleet();
  const first = await fleet.device("x", { instance: "process-1" });
  const operator = await fleet.operator();
  const cut = await fleet.dial(operator, "x", { port: 7 });
  await fleet.device("x", { instance: "process-2" });
  const error = await bounded("the first", failureOf(first.closed));
  assert.is(error.code, "replaced");
  assert.match(error.message, /another session of device x/);
  assert.is((await bounded("its channel", failureOf(cut.read()))).code, "reset");
  const channel = await fleet.dial(operator, "x", { port: 7 });
  await channel.write(bytes("new"));
  assert.is(text(await channel.read()), "new");
});

test("a second session of the same process takes new dials and leaves the old channels", async () => {
  await using fleet = await startFleet();
  await fleet.device("x", { instance: "process-1" });
  const operator = await fleet.operator();
  const old = await fleet.dial(operator, "x", { port: 7 });
  const second = await fleet.device("x", { instance: "process-1" });
  const channel = await fleet.dial(operator, "x", { port: 7 });
  for (const each of [old, channel]) {
    await each.write(bytes("alive"));
    assert.is(text(await each.read()), "alive");
  }
  second.session.close();
  await second.session.closed;
  await old.write(bytes("still"));
  assert.is(text(await old.read()), "still");
});

test("a session that never speaks is closed when its time is up", async () => {
  await using fleet = await startFleet({ limits: { signInTimeout: 50 } });
  const session = await fleet.connector.connect(fleet.url);
  await bounded("the close", session.closed);
  while (fleet.relay.sessions > 0) await new Promise((resolve) => setTimeout(resolve, 0));
});

test("beyond the limit of pending sessions new ones are refused, and a place frees itself", async () => {
  await using fleet = await startFleet({ limits: { pending: 2, signInTimeout: 60_000 } });
  const silent = [
    await fleet.connector.connect(fleet.url),
    await fleet.connector.connect(fleet.url),
  ];
  assert.is((await failureOf(fleet.connector.connect(fleet.url))).code, "unreachable");
  silent[0]!.close();
  for (;;) {
    const operator = await fleet.operator().catch(() => null);
    if (operator) break;
  }
});

test("a device may not ask for the fleet", async () => {
  await using fleet = await startFleet();
  const device = await fleet.device("x");
  assert.is((await failureOf(device.devices())).code, "refused");
  assert.ok(await device.ping() >= 0);
});

test("the relay lists devices, and tells of one", async () => {
  await using fleet = await startFleet();
  await fleet.device("b");
  const gone = await fleet.device("a");
  const operator = await fleet.operator();
  gone.session.close();
  await gone.session.closed;
  while (fleet.relay.registry.size > 1) await operator.ping();
  const list = await operator.devices();
  assert.equal(list.map(({ id, online }) => [id, online]), [["a", false], ["b", true]]);
  assert.is((await operator.device("b")).online, true);
  assert.is((await failureOf(operator.device("c"))).code, "unknown");
});

test("a list longer than a page comes whole", async () => {
  await using fleet = await startFleet();
  const sighting = { at: 1, transport: "quic", remote: { hostname: "10.0.0.1", port: 1 } };
  for (let i = 0; i < 300; i++) {
    await fleet.store.devicesSeen([[`d${String(i).padStart(3, "0")}`, sighting]]);
  }
  const list = await (await fleet.operator()).devices();
  assert.is(new Set(list.map(({ id }) => id)).size, 300);
});

test.run();
