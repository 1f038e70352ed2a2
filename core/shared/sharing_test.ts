import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { echoTarget, type Fleet, startFleet } from "../../tests/fleet.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { bytes, text } from "../../tests/text.ts";
import type { TargetConnector } from "../device.ts";
import type { Dialer } from "../dialer.ts";
import type { Duplex } from "../duplex.ts";
import { TunnelError } from "../errors.ts";
import { SILENT } from "../log.ts";
import type { MemorySession } from "../../transports/memory.ts";
import { MAX_CONNECTIONS } from "./session.ts";

const test = suite("shared channels");
const TARGET = { port: 7 };

test("connections that come in quick succession share a channel, each with its own target", async () => {
  const target = countedTarget();
  await using fleet = await startFleet();
  await fleet.device("x", { connect: target.connect });
  const dialer = await fleet.dialer(await fleet.operator());
  for (let i = 0; i < 60; i++) await echo(await dialer.connect("x", TARGET), `connection ${i}`);
  const dials = fleet.count("dials_total", "accepted");
  assert.is(target.made, 60);
  assert.ok(dials < 20, `${dials} dials`);
  const trail = () => fleet.store.audit({ limit: 100 });
  const hasShared = async () => (await trail()).some(({ detail }) => detail === "shared");
  await bounded("the trail", until(hasShared));
  const shared = (await trail()).filter(({ detail }) => detail === "shared");
  assert.equal(shared.map(({ type, target, device }) => [type, target, device]), [
    ["dial", "7", "x"],
  ]);
  await dialer.close();
});

test("they carry any bytes both ways at once, with ends of their own", async () => {
  const random = new Random(newSeed());
  await using fleet = await startFleet();
  await fleet.device("x");
  const dialer = await fleet.dialer(await fleet.operator());
  await untilShared(fleet, dialer);
  const before = fleet.count("dials_total", "accepted");
  const sizes = Array.from({ length: 40 }, () => random.below(200_000));
  await bounded(
    "the transfers",
    Promise.all(sizes.map(async (size, i) => {
      const connection = await dialer.connect("x", TARGET, {
        early: () => i % 2 ? new Uint8Array(7).fill(i) : undefined,
      });
      const sent = new Uint8Array(size).fill(i);
      const sending = connection.write(sent).then(() => connection.closeWrite());
      let count = 0;
      for (let part; (part = await connection.read());) {
        assert.ok(part.every((byte) => byte === i));
        count += part.length;
      }
      await sending;
      assert.is(count, size + (i % 2 ? 7 : 0));
    })),
  );
  assert.is(fleet.count("dials_total", "accepted"), before);
  await dialer.close();
});

test("a target that speaks first is heard, and one that ends without a word ends", async () => {
  await using fleet = await startFleet();
  let greeting: string | undefined = "";
  await fleet.device("x", {
    connect: async () => {
      const echo = await echoTarget();
      if (greeting) echo.write(bytes(greeting)); // It is taken when it is read.
      if (greeting === undefined) await echo.closeWrite();
      return echo;
    },
  });
  const dialer = await fleet.dialer(await fleet.operator());
  await untilShared(fleet, dialer);
  greeting = "SSH-2.0-x";
  const spoken = await dialer.connect("x", TARGET);
  assert.is(text(await bounded("the greeting", spoken.read())), "SSH-2.0-x");
  greeting = undefined;
  const silent = await dialer.connect("x", TARGET);
  assert.is(await bounded("the end", silent.read()), null);
  await dialer.close();
});

test("a target that cannot be reached is told with the same words as of a dial", async () => {
  const target = countedTarget();
  await using fleet = await startFleet();
  await fleet.device("x", { connect: target.connect });
  const dialer = await fleet.dialer(await fleet.operator());
  await untilShared(fleet, dialer);
  target.failure = new Error("connection refused");
  const dialled = await failureOf(dialer.dial("x", TARGET));
  const connection = await dialer.connect("x", TARGET, { early: () => bytes("hello") });
  const error = await bounded("the refusal", failureOf(connection.read()));
  assert.is(error.code, "target");
  assert.is(error.parts.state, dialled.parts.state);
  assert.match(error.parts.state, /connection refused/);
  target.failure = undefined;
  await echo(await dialer.connect("x", TARGET), "the next one");
  await dialer.close();
});

test("a reset of one end resets the other, and no other connection", async () => {
  const target = countedTarget();
  await using fleet = await startFleet();
  await fleet.device("x", { connect: target.connect });
  const dialer = await fleet.dialer(await fleet.operator());
  await untilShared(fleet, dialer);
  const [one, other] = [await dialer.connect("x", TARGET), await dialer.connect("x", TARGET)];
  for (const each of [one, other]) await each.write(bytes("a"));
  for (const each of [one, other]) await bounded("an echo", each.read());
  const reset = target.nextReset();
  one.reset(new TunnelError("reset", { action: "test", state: "the program has gone" }));
  await bounded("the target's reset", reset);
  await echo(other, "on it goes");
  await dialer.close();
});

test("they outlive the session under the channel, as the channel does", async () => {
  await using fleet = await startFleet();
  await fleet.device("x");
  const operator = await fleet.operator();
  let current = operator;
  const dialer = await fleet.dialer({ link: () => Promise.resolve(current) });
  await untilShared(fleet, dialer);
  const connections = await Promise.all(
    Array.from({ length: 5 }, () => dialer.connect("x", TARGET)),
  );
  for (const connection of connections) {
    await connection.write(bytes("before"));
    assert.is(text(await bounded("an echo", connection.read())), "before");
  }
  current = await fleet.operator();
  (operator.session as MemorySession).lose();
  for (const connection of connections) await echo(connection, "after");
  await dialer.close();
});

test("while the device is away its absence is told at once, and those in the channel wait", async () => {
  await using fleet = await startFleet();
  const device = await fleet.device("x");
  const detached = Promise.withResolvers<void>();
  const info = (what: string) => what === "channel detached" && detached.resolve();
  const dialer = await fleet.dialer(await fleet.operator(), { log: { ...SILENT, info } });
  await untilShared(fleet, dialer);
  const inside = await dialer.connect("x", TARGET);
  await inside.write(bytes("a"));
  await bounded("an echo", inside.read());
  (device.session as MemorySession).lose();
  await bounded("the loss", detached.promise);
  const error = await bounded("the refusal", failureOf(dialer.connect("x", TARGET)));
  assert.is(error.code, "offline");
  await dialer.close();
});

test("when their operator is revoked they are cut at both ends", async () => {
  const target = countedTarget();
  await using fleet = await startFleet();
  await fleet.device("x", { connect: target.connect });
  const operator = await fleet.operator("anna", { grants: [{ scope: "x:7" }] });
  // What a supervisor does: whoever has lost a session signs in again.
  let isLost = false;
  operator.closed.catch(() => isLost = true);
  const links = { link: async () => isLost ? await fleet.operator("anna") : operator };
  const dialer = await fleet.dialer(links, {}, "anna");
  await untilShared(fleet, dialer);
  const connection = await dialer.connect("x", TARGET);
  await connection.write(bytes("a"));
  await bounded("an echo", connection.read());
  const reset = target.nextReset();
  const change = { type: "revoke-member", role: "operator", name: "anna" } as const;
  await fleet.store.apply(change, { by: "local:test", at: Date.now() });
  await fleet.relay.access.refresh();
  await bounded("the operator's end", failureOf(connection.read()));
  await bounded("the target's reset", reset);
  await dialer.close();
});

test("where the relay says so every connection is a dial", async () => {
  const target = countedTarget();
  await using fleet = await startFleet({ limits: { dialConnections: 1 } });
  await fleet.device("x", { connect: target.connect });
  const dialer = await fleet.dialer(await fleet.operator());
  for (let i = 0; i < 40; i++) await echo(await dialer.connect("x", TARGET), `connection ${i}`);
  assert.is(fleet.count("dials_total", "accepted"), 40);
  assert.is(fleet.count("dials_total", "refused"), 1);
  assert.is(target.made, 40);
  await dialer.close();
});

test("where a device asks somebody about each it is asked about each, and about nothing else", async () => {
  let asked = 0;
  await using fleet = await startFleet();
  const ask = () => (asked++, Promise.resolve("test"));
  await fleet.device("x", { approval: { ask } });
  const dialer = await fleet.dialer(await fleet.operator());
  for (let i = 0; i < 40; i++) await echo(await dialer.connect("x", TARGET), `connection ${i}`);
  assert.is(fleet.count("dials_total", "accepted"), 40);
  assert.is(asked, 40);
  await dialer.close();
});

test("more than the relay allows at once dial for themselves", async () => {
  await using fleet = await startFleet({ limits: { dialConnections: 3 } });
  await fleet.device("x");
  const dialer = await fleet.dialer(await fleet.operator());
  await untilShared(fleet, dialer);
  const before = fleet.count("dials_total", "accepted");
  const open = [];
  for (let i = 0; i < 5; i++) open.push(await dialer.connect("x", TARGET));
  for (const connection of open) await echo(connection, "hello");
  assert.ok(fleet.count("dials_total", "accepted") - before >= 2);
  assert.ok(MAX_CONNECTIONS > 3);
  await dialer.close();
});

/** The trail is written in groups, a moment later. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!await holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Connects until connections share a channel. */
async function untilShared(fleet: Fleet, dialer: Dialer): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const before = fleet.count("dials_total", "accepted");
    const connection = await dialer.connect("x", TARGET);
    connection.reset(new TunnelError("reset", { action: "test", state: "it was for the count" }));
    // The channel is made behind the dials, and ready a moment later.
    if (i > 8 && fleet.count("dials_total", "accepted") === before) return;
  }
  throw new Error("200 connections were dials each");
}

async function echo(connection: Duplex, said: string): Promise<void> {
  await connection.write(bytes(said));
  await connection.closeWrite();
  let heard = "";
  for (let part; (part = await bounded("an echo", connection.read()));) heard += text(part);
  assert.is(heard, said);
}

/** An echo that counts, says when one of it was reset, and can be made to fail. */
function countedTarget() {
  let resets: (() => void)[] = [];
  const counted = {
    made: 0,
    failure: undefined as Error | undefined,
    nextReset: () => new Promise<void>((resolve) => resets.push(resolve)),
    connect: (async () => {
      if (counted.failure) throw counted.failure;
      counted.made++;
      const target = await echoTarget();
      return {
        ...target,
        reset(error: TunnelError) {
          target.reset(error);
          for (const tell of resets) tell();
          resets = [];
        },
      };
    }) as TargetConnector,
  };
  return counted;
}

test.run();
