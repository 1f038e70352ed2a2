import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failureOf } from "../../tests/failure.ts";
import { startFleet } from "../../tests/fleet.ts";

const test = suite("relay: requests");

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
    await fleet.store.deviceSeen(`d${String(i).padStart(3, "0")}`, sighting);
  }
  const list = await (await fleet.operator()).devices();
  assert.is(new Set(list.map(({ id }) => id)).size, 300);
});

test.run();
