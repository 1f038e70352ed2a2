import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { startFleet } from "../../tests/fleet.ts";
import { bytes, text } from "../../tests/text.ts";

const test = suite("relay: sessions");

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

test.run();
